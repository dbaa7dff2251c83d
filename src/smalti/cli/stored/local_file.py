"""A local file as the value that it holds, read by the ordinary reader of its format: its owner trusts it."""

from __future__ import annotations

import mmap
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from smalti.errors import NotFound, Refused

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Member = NDArray[Any] | np.generic | bytes

OPAQUE = "--opaque keeps the file as bytes"


def value_of(path: Path, opaque: bool) -> Any:
    """Return the array of a ``.npy``, the members of an ``.npz`` by name, the table of a ``.parquet``, else the bytes.

    Args:
        opaque: give the bytes, whatever it is.

    Raises:
        NotFound: there is nothing.
        Refused: it is no such file; the sentence names the member at fault.
    """
    if not path.is_file():
        if path.exists():
            raise Refused(f"{path} is neither a file nor a folder; name one to store.")
        raise NotFound(f"there is nothing at {path}; name a file or a folder to store.")
    read = None if opaque else {".npy": _array, ".npz": _archive, ".parquet": _table}.get(path.suffix)
    return read(path) if read else _bytes(path)


def _bytes(path: Path) -> memoryview | bytes:
    with path.open("rb") as file:
        if not path.stat().st_size:  # an empty file cannot be mapped
            return b""
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _array(path: Path) -> NDArray[Any]:
    import numpy as np

    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise Refused(f"{path} is not a .npy file that can be stored ({error}); {OPAQUE}.") from error
    return array


def _archive(path: Path) -> dict[str, Member]:
    """Return what ``numpy.load`` gives of each member, under the same name: a ``/`` in it is part of the name."""
    from smalti.formats.npz import is_left_by_system

    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not (each.is_dir() or is_left_by_system(each))]
            found: dict[str, Member] = {}
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name in found:
                    raise Refused(f"{path} holds {name!r} twice, and one would be lost; {OPAQUE}.")
                found[name] = _member(archive, member, path)
    except zipfile.BadZipFile as error:
        raise Refused(f"{path} is no .npz archive ({error}); {OPAQUE}.") from error
    return found


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> Member:
    from numpy.lib import format as npy

    try:
        with archive.open(member) as file:
            if not cast(zipfile.ZipExtFile, file).peek(len(npy.MAGIC_PREFIX)).startswith(npy.MAGIC_PREFIX):
                return file.read()
            array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
            if file.read(1):  # reads to the end also check the sum
                raise ValueError("it goes on after its array")
            return array
    except (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise Refused(f"the member {member.filename!r} of {path} cannot be read ({error}); {OPAQUE}.") from error


def _table(path: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:  # unlike read_table, adds no columns for folders called key=value
            return file.read()
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"{path} is not a Parquet file that can be read ({error}); {OPAQUE}.") from error
