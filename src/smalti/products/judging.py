"""The judgement of a foreign product file, made in the sandbox before anything else opens it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from smalti.formats import opened
from smalti.formats.sniff import recognise
from smalti.products.validate import validate_product


def judge_product(request: Mapping[str, Any]) -> dict[str, Any]:
    """Judge the product ``request["path"]``; a function for :func:`smalti.ingest.sandbox.Sandbox.call`.

    Returns:
        ``findings``: the fields of each :class:`smalti.products.Finding`.
    """
    path = Path(request["path"])
    require_sound(path)
    return {"findings": [asdict(finding) for finding in validate_product(path)]}


def require_sound(path: Path) -> None:
    """Judge the file as a container: an NPZ archive or an HDF5 file that is neither damaged nor hostile.

    Raises:
        NotFound: there is no such file.
        ContractBroken: it is something else, or not sound.
    """
    with opened(path) as source:
        form = recognise(source)
        if form == "hdf5":
            from smalti.formats import hdf5

            hdf5.require_sound(source)
        elif form != "zip":  # what is in an archive is judged when it is read
            found, remedy = f"a file in the form {form}", "give the product itself"
            raise source.refuse("file.format", "the file", found, "a product as HDF5 or NPZ", remedy)
