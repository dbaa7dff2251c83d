"""An array in a file is used like one of numpy; the file is open only while it is read."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalti.directory.hdf5.array_writing import wait_for_others
from smalti.directory.hdf5.arrays import ArrayFile, as_array, extend_array, write_array
from smalti.directory.hdf5.pending_writes import lookup3
from smalti.errors import Damaged, Unavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.h5"


@pytest.fixture
def table(path: Path) -> tuple[ArrayFile, np.ndarray]:
    array = np.arange(60.0).reshape(20, 3)
    write_array(path, array)
    return ArrayFile(path), array


def test_what_numpy_says_of_an_array_holds_of_the_file(table: tuple[ArrayFile, np.ndarray]) -> None:
    file, array = table
    assert (file.shape, file.dtype, len(file)) == ((20, 3), np.float64, 20)
    assert (file.ndim, file.size, file.nbytes) == (2, 60, 480)
    assert file.mean() == array.mean()
    assert file.T.shape == (3, 20)
    assert file.astype(np.int8).dtype == np.int8
    assert np.array_equal(file, array)
    assert np.array_equal(np.concatenate([file, file]), np.concatenate([array, array]))
    assert [row.tolist() for row in file] == array.tolist()
    assert 59.0 in file
    assert 60.0 not in file


@pytest.mark.parametrize(
    "key",
    [(), ..., slice(None), 3, -1, slice(-5, None), (slice(2, 9, 3), 1), [1, 4], [4, 1], np.arange(20) > 4,
     slice(None, None, -1)],
    ids=str,
)  # fmt: skip
def test_an_index_gives_what_numpy_gives(table: tuple[ArrayFile, np.ndarray], key: Any) -> None:
    file, array = table
    assert np.array_equal(file[key], array[key])


def test_an_index_outside_is_an_error(table: tuple[ArrayFile, np.ndarray]) -> None:
    with pytest.raises(IndexError):
        table[0][20]


def test_operators_and_comparisons_go_element_by_element(table: tuple[ArrayFile, np.ndarray]) -> None:
    file, array = table
    same = array.copy()
    for found, wanted in (
        (file + 1, array + 1), (1 - file, 1 - array), (file * file, array * array), (file == array, same == array),
        (file > 7, array > 7), (-file, -array), (np.sqrt(file), np.sqrt(array)), (np.add.reduce(file), array.sum(0)),
    ):  # fmt: skip
        assert isinstance(found, np.ndarray)
        assert np.array_equal(found, wanted)
    with pytest.raises(TypeError, match="read only"):
        np.add(file, 1, out=file)
    with pytest.raises(TypeError):
        file[0] = 1


def test_a_single_value_is_a_number(path: Path) -> None:
    write_array(path, 7)
    file = ArrayFile(path)
    assert (int(file), float(file), complex(file), bool(file), [*range(9)][file]) == (7, 7.0, 7 + 0j, True, 7)
    assert file[()] == 7
    assert file.shape == ()
    with pytest.raises(TypeError, match="without axes"):
        len(file)


def test_attributes_of_the_dataset_are_given(path: Path) -> None:
    extend_array(path, np.zeros((2, 64, 64)))
    with h5py.File(path, "r+") as hdf5:
        hdf5["data"].attrs["unit"] = "mm"
    file = ArrayFile(path)
    assert (file.chunks, file.maxshape, file.attrs) == ((1, 64, 64), (None, 64, 64), {"unit": "mm"})
    assert file.len() == 2
    with pytest.raises(AttributeError, match="open file"):
        file.parent  # noqa: B018
    with pytest.raises(AttributeError, match="colour"):
        file.colour  # noqa: B018


def test_a_reader_follows_what_is_written(path: Path) -> None:
    write_array(path, [1, 2])
    file = ArrayFile(path)
    extend_array(path, [3])
    assert file.shape == (3,)
    write_array(path, b"other")
    assert file[()] == b"other"


def test_rows_are_seen_though_the_process_has_the_file_open(path: Path) -> None:
    """HDF5 shares what it has cached with everyone who opens a file of that name in the same process."""
    extend_array(path, [1])
    with h5py.File(path) as held:
        assert held["data"][:].tolist() == [1]
        extend_array(path, [2])
        assert ArrayFile(path)[:].tolist() == [1, 2]


def test_no_file_stays_open(table: tuple[ArrayFile, np.ndarray]) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("this system does not list the open files of a process")
    before = len([*descriptors.iterdir()])
    file = table[0]
    file.mean()
    file.chunks  # noqa: B018
    with pytest.raises(IndexError):
        file[99]
    assert len([*descriptors.iterdir()]) == before


def test_a_reader_is_copied_and_pickled_as_its_path(table: tuple[ArrayFile, np.ndarray]) -> None:
    for other in (copy.deepcopy(table[0]), pickle.loads(pickle.dumps(table[0]))):
        assert other.path == table[0].path
        assert other.mean() == table[1].mean()


def test_nothing_there_is_file_not_found(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"x\.h5"):
        ArrayFile(path)[:]


@pytest.mark.parametrize(
    "content", [b"", b"no HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(100)], ids=["empty", "text", "zeros"]
)
def test_a_file_that_is_no_array_is_damaged(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(Damaged, match=r"x\.h5 cannot be read as an HDF5 file"):
        ArrayFile(path)[:]
    with pytest.raises(Damaged, match=r"x\.h5 cannot be extended"):
        extend_array(path, [1])
    assert path.read_bytes() == content


def test_another_dataset_is_no_array(path: Path) -> None:
    with h5py.File(path, "w") as hdf5:
        hdf5["patterns"] = 1
    with pytest.raises(Damaged, match="'data'"):
        ArrayFile(path)[:]


@pytest.mark.parametrize("shared", [True, False])
def test_what_another_program_has_open_for_writing_is_read(path: Path, shared: bool) -> None:
    with h5py.File(path, "w", libver="latest") as hdf5:
        data = hdf5.create_dataset("data", (3,), maxshape=(None,), dtype="i8")
        if shared:
            hdf5.swmr_mode = True
        data[:] = 5
        hdf5.flush()
        assert ArrayFile(path)[:].tolist() == [5, 5, 5]


def test_a_file_that_a_killed_program_left_marked_is_read_and_not_extended(path: Path) -> None:
    write_array(path, [1])
    content = bytearray(path.read_bytes())
    content[11] = 5  # the mark of a program that shares the file while it writes
    content[44:48] = lookup3(bytes(content[:44])).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(OSError, match="h5clear"):
        h5py.File(path)
    assert ArrayFile(path)[:].tolist() == [1]
    with path.open("r+b") as file, pytest.raises(Unavailable, match="h5clear -s"):
        wait_for_others(path, file.fileno(), seconds=0)


def test_a_damaged_superblock_is_damage(path: Path) -> None:
    write_array(path, [1])
    content = bytearray(path.read_bytes())
    content[11] = 5
    path.write_bytes(content)
    with pytest.raises(Damaged, match="cannot be read"):
        ArrayFile(path)[:]


@pytest.mark.parametrize(
    "value",
    ["text", ["a"], None, object(), np.datetime64("2026-01-01"), np.array([1], "m8[s]"), [[1], [1, 2]],
     b"ends with 0\0",
     np.ma.masked_array([1], [True]), np.zeros(2, "V0"), [None, 1]],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_an_array_cannot_hold_is_a_type_error_that_names_a_way(path: Path, value: object) -> None:
    for act in (as_array, lambda v: write_array(path, v), lambda v: extend_array(path, v)):
        with pytest.raises(TypeError, match=r"store|equally long"):
            act(value)
    assert not path.exists()


def test_text_is_to_be_byte_strings(path: Path) -> None:
    with pytest.raises(TypeError, match="byte strings"):
        write_array(path, "text")


_dtypes = st.one_of(
    hnp.boolean_dtypes(), hnp.integer_dtypes(), hnp.floating_dtypes(), hnp.complex_number_dtypes(),
    hnp.byte_string_dtypes(min_len=1), st.just(np.dtype([("a", "<i4"), ("b", "?"), ("c", "S3", (2,))])),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(array=hnp.arrays(_dtypes, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)))
def test_what_is_written_comes_back(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    path = tmp_path_factory.getbasetemp() / "any.h5"
    for value in (array, np.array(array, order="F")):
        write_array(path, value)
        file = ArrayFile(path)
        found = np.asarray(file)
        assert (file.shape, file.dtype) == (array.shape, array.dtype)
        assert found.tobytes() == array.tobytes()
        with h5py.File(path) as hdf5:  # as any other tool reads it
            assert np.asarray(hdf5["data"][()], array.dtype).tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "value", [b"", b"abc", True, 3, 2.5, 1j, [], np.zeros((3, 0, 2)), [b"a", b"bcd"], np.float16(2)]
)
def test_scalars_and_empty_arrays_come_back(path: Path, value: object) -> None:
    write_array(path, value)
    found = np.asarray(ArrayFile(path))
    assert np.array_equal(found, np.asarray(value))
    assert found.dtype == np.asarray(value).dtype


def _external(hdf5: h5py.File, other: Path) -> None:
    hdf5.create_dataset("data", (4,), "u1", external=[(str(other), 0, 4)])


def _virtual(hdf5: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource(str(other), "data", (4,))
    hdf5.create_virtual_dataset("data", layout)


def _linked(hdf5: h5py.File, other: Path) -> None:
    hdf5["real"] = np.arange(4)
    hdf5["data"] = h5py.ExternalLink(str(other), "real")


@pytest.mark.parametrize("lead", [_external, _virtual, _linked])
def test_values_that_lie_in_other_files_are_neither_read_nor_extended(path: Path, lead: Callable[..., None]) -> None:
    other = path.with_name("secret.h5")
    write_array(other, np.arange(4, dtype="u1"))
    before = other.read_bytes()
    with h5py.File(path, "w") as hdf5:
        lead(hdf5, other)
    for act in (lambda: ArrayFile(path)[:], lambda: extend_array(path, np.zeros(1, "u1"))):
        with pytest.raises(Damaged, match="its values are in other files, which are not opened"):
            act()
    assert other.read_bytes() == before
    assert repr(ArrayFile(path)) == f"ArrayFile({str(path)!r}, unreadable)"


def test_the_empty_value_of_hdf5_is_no_array(path: Path) -> None:
    with h5py.File(path, "w") as hdf5:
        hdf5["data"] = h5py.Empty("f4")
    with pytest.raises(Damaged, match="empty value, which is no array"):
        _ = ArrayFile(path).shape


def test_what_would_not_reach_the_file_cannot_be_assigned(table: tuple[ArrayFile, np.ndarray]) -> None:
    with pytest.raises(TypeError, match="read only; take a copy"):
        table[0][0] = 1
    with pytest.raises(AttributeError):
        table[0].note = 1  # type: ignore[attr-defined]
