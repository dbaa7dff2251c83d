"""What the makers of hostile files share: one case, a sound scan, and bytes of arrays, archives and tables."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Make = Callable[[Path], Any]
_ZEROS = bytes(1 << 20)


@dataclass(frozen=True)
class Case:
    """A file to make, under which name, and words that the refusal must have."""

    make: Make
    says: str
    name: str = "scan.npz"


def sound() -> dict[str, Any]:
    """The arrays of a small scan that keeps the contract."""
    row, col = np.mgrid[:16, :16] - 8
    counts = np.random.default_rng(1).poisson(200 * np.exp(-(row**2 + col**2) / 8), (12, 16, 16))
    return {
        "diffraction": np.sqrt(counts).astype("f4"),
        "probeGuess": np.ones((16, 16), "c8"),
        "xcoords": np.linspace(8, 39, 12),
        "ycoords": np.linspace(8, 31, 12),
    }


def npy(array: Any, **header: Any) -> bytes:
    """The bytes of a .npy file; ``header`` makes it claim something else than what is there."""
    buffer = io.BytesIO()
    honest = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(buffer, {**honest, **header})
    return buffer.getvalue() + array.tobytes()


def npz(compressed: bool = False, **changes: Any) -> bytes:
    """The bytes of the sound scan as .npz, with changes; None leaves an array out."""
    buffer = io.BytesIO()
    arrays = {key: array for key, array in {**sound(), **changes}.items() if array is not None}
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def deflated_zeros(name: str, blocks: int = 1100) -> bytes:
    """The bytes of a zip with one member, which inflates to so many MiB of zeros: a thousandth of it is stored."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(_ZEROS) + packer.flush(zlib.Z_FULL_FLUSH)
    data = block * blocks + packer.flush(zlib.Z_FINISH)
    checksum = 0
    for _ in range(blocks):
        checksum = zlib.crc32(_ZEROS, checksum)
    sizes = struct.pack("<LLLHH", checksum, len(data), blocks << 20, len(name), 0)
    head = b"\x14\0\0\0\x08\0\0\0\x21\0" + sizes
    entry = b"PK\1\2\x14\0" + head + bytes(2 + 2 + 2 + 4 + 4) + name.encode()
    local = b"PK\3\4" + head + name.encode()
    end = struct.pack("<LLH", len(entry), len(local) + len(data), 0)
    return local + data + entry + b"PK\5\6\0\0\0\0\1\0\1\0" + end


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """The bytes of a zip with these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a duplicate name warns, and is the point
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def holding(data: bytes) -> Make:
    """A maker of a file with these bytes."""
    return lambda path: path.write_bytes(data)


def changed(**changes: Any) -> Make:
    """A maker of the sound scan with changes."""
    return lambda path: path.write_bytes(npz(**changes))
