"""What is inside a stored file that came from elsewhere: arrays by name, or a table, read as safely as on arrival."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from smalti.errors import SmaltiError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from smalti.store import Store

MOST_NBYTES = 256 << 20  # all of it is in memory
_PACKED = {".gz", ".bz2", ".xz", ".zst"}
_READ = {
    ".npz", ".npy", ".h5", ".hdf5", ".cxi", ".nxs", ".hdf", ".mat", ".safetensors", ".csv", ".tsv", ".jsonl",
    ".parquet", ".arrow", ".feather",
}  # fmt: skip


def is_readable(name: str) -> bool:
    """Tell whether a file of that name may hold arrays or a table that can be read."""
    return _suffix(name) is not None


def read_inside(store: Store, digest: str, name: str) -> Mapping[str, NDArray[Any]] | pa.Table | None:
    """Return the arrays or the table in a stored file; None where it is none that can be read, or larger than 256 MiB.

    Args:
        digest: its bytes.
        name: what the file is called; only how the name ends is used.
    """
    from smalti.formats import DEFAULT_LIMITS, read_file
    from smalti.formats.content import Content

    suffix = _suffix(name)
    if suffix is None or store.record(digest).nbytes > MOST_NBYTES:
        return None
    with tempfile.TemporaryDirectory(prefix="smalti-diff-") as folder:
        path = Path(folder) / f"file{suffix}"
        store.write_file(digest, path)
        try:
            from dataclasses import replace

            found = read_file(path, replace(DEFAULT_LIMITS, content_nbytes=4 * MOST_NBYTES))
        except SmaltiError:
            return None
        if isinstance(found, Content):
            return {name: array.copy() if array.base is not None else array for name, array in found.arrays.items()}
        return found.table


def _suffix(name: str) -> str | None:
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes[-2:]]
    if suffixes and suffixes[-1] in _PACKED:
        return "".join(suffixes) if len(suffixes) == 2 and suffixes[0] in _READ else None
    return suffixes[-1] if suffixes and suffixes[-1] in _READ else None
