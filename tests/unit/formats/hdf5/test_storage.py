"""Laws of where arrays lie in an HDF5 file: the bytes there are what h5py reads, and anything else is left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalti.codecs.array import array_of
from smalti.codecs.containers import sound_arrays
from smalti.errors import ContractBroken
from smalti.formats import opened
from smalti.formats.hdf5.storage import stored_arrays
from smalti.store.values import ArrayInside

RNG = np.random.default_rng(5)
STACK = RNG.integers(0, 60_000, (50, 64, 64)).astype("<u2")  # 400 KiB
Make = Callable[[h5py.File], Any]


def found_in(path: Path) -> tuple[ArrayInside, ...]:
    """Return what is found, which must be possible in the bytes of the file."""
    with opened(path) as source:
        found = stored_arrays(source)
    data = memoryview(path.read_bytes())
    assert [array.shape for array in sound_arrays(found, data)] == [array.shape for array in found]
    return found


def content(path: Path, array: ArrayInside) -> Any:
    data = path.read_bytes()
    held = b"".join(data[offset : offset + nbytes] for offset, nbytes in array.runs)
    return array_of(array.dtype, array.shape, memoryview(held))


def dataset(data: Any = STACK, **options: Any) -> Make:
    return lambda file: file.create_dataset("a", data=data, **options)


def resized(file: h5py.File) -> None:
    made = file.create_dataset("a", data=STACK, chunks=(8, 64, 64), maxshape=(None, 64, 64))
    made.resize(33, 0)


def grown(file: h5py.File) -> None:
    made = file.create_dataset("a", (0, 64, 64), "<u2", chunks=(1, 64, 64), maxshape=(None, 64, 64))
    for number, pattern in enumerate(STACK):
        made.resize(number + 1, 0)
        made[number] = pattern
        file[f"at/{number:03}"] = number  # so that chunks do not lie side by side


def each_pattern(*most: int | None) -> Make:
    """Make a grid of 5 x 5 patterns, each in a chunk of its own."""
    grid = STACK[:25].reshape(5, 5, 64, 64).astype("<f8")
    return dataset(grid, chunks=(1, 1, 64, 64), maxshape=(*most, 64, 64))


def backwards(file: h5py.File) -> None:
    made = file.create_dataset("a", STACK.shape, "<u8", chunks=(2, 64, 64), maxshape=(None, None, 64))
    for at in range(48, -1, -2):
        made[at : at + 2] = STACK[at : at + 2]


def enumerated(file: h5py.File) -> None:
    file.create_dataset("a", data=STACK % 2, dtype=h5py.enum_dtype({"OFF": 0, "ON": 1}, "<u2"))


KEPT: dict[str, Make] = {
    "contiguous": dataset(),
    "truths": dataset(STACK > 30_000),
    "complex": dataset(STACK * 1j),
    "half": dataset(STACK.astype("<f2")),
    "enumeration": enumerated,
    "chunks of rows": dataset(chunks=(10, 64, 64)),
    "a last chunk that is padded": dataset(chunks=(8, 64, 64)),
    "one chunk longer than the array": dataset(chunks=(64, 64, 64), maxshape=(None, 64, 64)),
    "chunks of a part of each pattern": dataset(STACK.reshape(2, 25, 64, 64), chunks=(1, 10, 64, 64)),
    "a grid": each_pattern(5, 5),
    "a grid that grows along its first axis": each_pattern(None, 5),
    "a grid that grows along both": each_pattern(None, None),
    "written backwards": backwards,
    "chunks of one axis": dataset(STACK.ravel(), chunks=(30_000,)),
    "cut by a resize": resized,
    "grown": grown,
}


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("userblock", [0, 512])
@pytest.mark.parametrize("name", KEPT)
def test_the_bytes_of_an_array_are_what_h5py_reads(tmp_path: Path, name: str, userblock: int, libver: str) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=userblock, libver=libver) as file:
        KEPT[name](file)
    (found,) = found_in(path)
    with h5py.File(path) as file:
        wanted = file["a"][()]
    held = content(path, found)
    assert (held.dtype, held.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_array_equal(held, wanted)


def compact(file: h5py.File) -> None:
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5py.h5d.COMPACT)
    made = h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple((65_000,)), creation)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.zeros(65_000, np.uint8))


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(STACK.shape, STACK.dtype)
    layout[:] = h5py.VirtualSource("other.h5", "a", STACK.shape)
    file.create_virtual_dataset("a", layout)


def external(file: h5py.File) -> None:
    file.create_dataset("a", data=STACK, external=[(f"{file.filename}.raw", 0, h5py.h5f.UNLIMITED)])
    file["link"] = h5py.ExternalLink("other.h5", "a")


def narrow(file: h5py.File) -> None:
    twelve_bits = h5py.h5t.STD_U16LE.copy()
    twelve_bits.set_precision(12)
    made = h5py.h5d.create(file.id, b"a", twelve_bits, h5py.h5s.create_simple(STACK.shape))
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, STACK % 4096)


def part(file: h5py.File) -> None:
    file.create_dataset("a", STACK.shape, "<u2", chunks=(10, 64, 64))[:10] = STACK[:10]


LEFT_OUT: dict[str, Make] = {
    "compressed": dataset(compression="gzip", chunks=(10, 64, 64)),
    "shuffled": dataset(shuffle=True, chunks=(10, 64, 64)),
    "checked": dataset(fletcher32=True, chunks=(10, 64, 64)),
    "compact": compact,
    "virtual": virtual,
    "external": external,
    "big-endian": dataset(STACK.astype(">u2")),
    "big-endian complex": dataset((STACK * 1j).astype(">c8")),
    "of 12 bits": narrow,
    "records": dataset(np.zeros(20_000, [("a", "<f8")])),
    "text": dataset(["text"] * 20_000),
    "chunks of columns": dataset(chunks=(50, 8, 64)),
    "tiles": dataset(STACK.reshape(400, 512), chunks=(100, 128)),
    "a grid that grows along its second axis": each_pattern(5, None),
    "never written": lambda file: file.create_dataset("a", STACK.shape, "<u2"),
    "written in part": part,
    "small": dataset(np.arange(100.0)),
    "a number": dataset(3.5),
    "nothing": dataset(h5py.Empty("f")),
}


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_lies_otherwise_is_left_out(tmp_path: Path, name: str, libver: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
        LEFT_OUT[name](file)
    assert found_in(tmp_path / "a.h5") == ()


def test_an_array_of_several_names_is_one(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data"] = STACK
        file["again"] = file["entry/data"]
        file["soft"] = h5py.SoftLink("/entry/data")
        file["more"] = STACK + 1
    first, second = found_in(tmp_path / "a.h5")
    np.testing.assert_array_equal(content(tmp_path / "a.h5", first), STACK)
    np.testing.assert_array_equal(content(tmp_path / "a.h5", second), STACK + 1)


def test_a_file_that_was_changed_is_refused_or_says_what_h5py_reads_or_nothing_possible(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        grown(file)
    whole = path.read_bytes()
    for _ in range(60):
        data = bytearray(whole)
        for at in RNG.integers(0, 4000, 3):
            data[at] = RNG.integers(256)
        path.write_bytes(data)
        try:
            with opened(path) as source:
                found = stored_arrays(source)
        except ContractBroken:
            continue
        for array in sound_arrays(found, memoryview(data)):
            assert all(0 <= offset < offset + nbytes <= len(data) for offset, nbytes in array.runs)
