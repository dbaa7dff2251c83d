"""Arrays out of a foreign file of any form that holds arrays; the readers are in ``smalti.contracts.readers``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from smalti.contracts.readers import DEFAULT_LIMITS, Limits, read_file
from smalti.contracts.violation import Violation, broken

__all__ = ["DEFAULT_LIMITS", "Limits", "read_arrays"]


def read_arrays(path: Path, limits: Limits = DEFAULT_LIMITS) -> dict[str, NDArray[Any]]:
    """Return every array of a file by name.

    Raises:
        NotFound, ContractBroken, Unavailable: as ``read_file``; a table is refused too.
    """
    content = read_file(path, limits)
    if not isinstance(content, Mapping):
        found = f"a table of {content.num_rows} rows and {content.num_columns} columns"
        remedy = "name the contract of the table, or give a file of arrays"
        raise broken(path.name, [Violation("file.form", "the file", found, "arrays", remedy)])
    return dict(content)
