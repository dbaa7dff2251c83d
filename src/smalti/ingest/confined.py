"""What the sandbox runs: before a child is forked, imports of what its file will need; in the child, the validation."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from smalti.codecs import CODECS
from smalti.contracts.registry import contract_named
from smalti.contracts.tables.table import TABLE, TableContract
from smalti.contracts.violation import shown
from smalti.errors import NotFound, SmaltiError, Unavailable
from smalti.formats import opened
from smalti.ingest import handover
from smalti.ingest.kinds import kinds
from smalti.ingest.validate import Document, document, refused, validate_file
from smalti.scans.card import Card
from smalti.scans.shipped import shipped_cards

_HDF5 = ("smalti.formats.hdf5.reader", "smalti.formats.hdf5.cxi")
_NPZ = ("smalti.formats.npz", "encodings.cp437", "numpy.fft", "numpy.ma")
_READERS = {
    **dict.fromkeys((".h5", ".hdf5", ".hdf", ".cxi", ".nxs", ".mat"), (*_HDF5, "numpy.fft", "numpy.ma")),
    ".npz": _NPZ,
    ".npy": ("smalti.formats.npy",),
    ".safetensors": ("smalti.formats.safetensors",),
}
_TABLE_READERS = {
    **dict.fromkeys((".csv", ".tsv"), "smalti.formats.tables.csv"),
    **dict.fromkeys((".jsonl", ".ndjson"), "smalti.formats.tables.jsonl"),
    **dict.fromkeys((".arrow", ".feather"), "smalti.formats.tables.arrow"),
    ".parquet": "smalti.formats.tables.parquet",
}


def prepare(request: Mapping[str, Any]) -> None:
    """Import what files of that name and a contract of that name need; the server does it once for many files.

    Your own contracts are run here, where nothing foreign has been opened and your packages can be read. Why one does
    not run, the child says.
    """
    os.environ.pop("SMALTI_CONTRACTS", None)
    if request["contracts_file"]:
        os.environ["SMALTI_CONTRACTS"] = request["contracts_file"]
    shipped_cards()
    with suppress(SmaltiError):  # which the child says again
        kinds()
    for suffix in map(str.lower, Path(request["path"]).suffixes):
        for module in _READERS.get(suffix, ()):
            import_module(module)
        if suffix in _TABLE_READERS:
            import_module(_TABLE_READERS[suffix])
            _load_tables()
    if request["contract"]:
        with suppress(SmaltiError):
            if isinstance(contract_named(request["contract"]), TableContract):
                _load_tables()


@cache
def _load_tables() -> None:
    """Check and encode a table: pandera imports more for its first one than its own import does."""
    import pyarrow as pa

    table = pa.table({"a": [0]})
    TABLE.check(table)
    CODECS.encode(table)


def validate(request: Mapping[str, Any]) -> Document:
    """Validate ``request["path"]`` against the contract ``request["contract"]``; None: the file's own.

    ``request["card"]`` stands for the card of the file, where it is given. A table is also compared with
    ``request["accepted_schema"]``, base64 of an Arrow schema, where there is one. What is accepted is written to the
    folder ``request["handover"]``, where one is named.

    Returns:
        What :func:`smalti.ingest.validate.document` does, or ``usage``: why there is no such contract.
    """
    path, name = Path(request["path"]), request["contract"]
    try:
        contract = contract_named(name) if name else None
    except SmaltiError as error:
        return {"usage": str(error)}
    try:
        card = Card.model_validate(request["card"]) if request["card"] else None
        result = validate_file(path, contract, card, accepted_schema=request["accepted_schema"])
        if request["handover"] and result.accepted:
            _hand_over(result.value, Path(request["handover"]))
    except NotFound as error:
        return document(refused(error, contract.id if contract else ""), path.name)
    return document(result, path.name)


def stored_arrays(request: Mapping[str, Any]) -> dict[str, Any]:
    """Say where arrays lie in the HDF5 file ``request["path"]``.

    Returns:
        ``arrays``: of each its dtype and shape as a header spells them, and offset and nbytes of its runs in turn.
    """
    from smalti.formats.hdf5.storage import stored_arrays

    with opened(Path(request["path"])) as source:
        found = stored_arrays(source)
    return {"arrays": [[a.dtype, list(a.shape), [number for run in a.runs for number in run]] for a in found]}


def _hand_over(value: Any, folder: Path) -> None:
    """Write a value into the folder.

    Raises:
        Unavailable: the disk, not the file, is at fault.
    """
    try:
        handover.write(value, folder)
    except OSError as error:
        if error.errno == errno.EFBIG:  # the limit of this process, not of the disk
            raise
        reason = os.strerror(error.errno or 0)
        raise Unavailable(
            f"what was read could not be written to {shown(str(folder.parent))}: {reason}; free some space there, "
            "or let TMPDIR name a folder on a larger disk."
        ) from error
