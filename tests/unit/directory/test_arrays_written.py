"""An array is replaced whole or not at all, and extended by rows that lose nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.directory.hdf5.array_values import rows_like
from smalti.directory.hdf5.arrays import ArrayFile, extend_array, write_array
from smalti.directory.hdf5.pending_writes import PendingWrites, journal
from smalti.errors import Unavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "x.h5"


def test_a_file_of_ours_is_one_that_hdf5_shares(path: Path) -> None:
    for act in (write_array, extend_array):
        act(path, np.arange(5))
        with h5py.File(path, "r", libver="latest", swmr=True) as hdf5:
            assert hdf5.swmr_mode
            assert hdf5["data"].shape in {(5,), (10,)}


def test_an_array_written_whole_grows_from_its_first_extension_on(path: Path) -> None:
    write_array(path, np.zeros((3, 1000)))
    assert ArrayFile(path).chunks is None
    inode = path.stat().st_ino
    extend_array(path, np.ones((2, 1000)))
    assert (ArrayFile(path).chunks, ArrayFile(path).maxshape) == ((5, 1000), (None, 1000))
    replaced = path.stat().st_ino
    extend_array(path, np.ones((2, 1000)))
    assert inode != replaced == path.stat().st_ino, "it is written anew once"
    assert ArrayFile(path)[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 1]


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(0, 9000), min_size=1, max_size=8),
    width=st.sampled_from([(), (1,), (7,), (3, 900), (0,)]),
    whole_first=st.booleans(),
)
def test_extending_is_concatenating(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], width: tuple[int, ...], whole_first: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "grown.h5"
    path.unlink(missing_ok=True)
    if len(width) == 2:
        counts = [count % 7 for count in counts]
    parts = [np.random.default_rng(i).random((count, *width)) for i, count in enumerate(counts)]
    for number, part in enumerate(parts):
        (write_array if whole_first and not number else extend_array)(path, part)
    whole = np.concatenate(parts)
    assert np.array_equal(ArrayFile(path), whole)
    with h5py.File(path) as hdf5:
        assert np.array_equal(hdf5["data"][()], whole)


def test_no_rows_change_nothing(path: Path) -> None:
    extend_array(path, np.zeros((2, 3), np.uint8))
    before = path.stat()
    extend_array(path, [])
    extend_array(path, np.zeros((0, 3)))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert ArrayFile(path).shape == (2, 3)


@pytest.mark.parametrize(
    ("array", "rows", "reason"),
    [
        ([1, 2], [0.5], "without being changed"), (np.zeros((2, 3)), [1.0], "rows of shape"), ([1], 5, "single value"),
        (np.uint8([1]), [300], "without being changed"), (np.uint64([1]), np.int64([-1]), "without being changed"),
        (np.float32([1]), np.float64([0.1]), "without being changed"), (np.float32([1]), [1e300], "without"),
        ([b"ab"], [b"abc"], "without being changed"), ([1.5], [1j], "without being changed"), ([True], [2], "without"),
        ([1.5], [2**53 + 1], "without being changed"), (3, [4], "single value"), ([1], ["a"], "byte strings"),
    ],
)  # fmt: skip
def test_rows_that_would_be_changed_are_refused(path: Path, array: Any, rows: Any, reason: str) -> None:
    write_array(path, array)
    before = path.read_bytes()
    with pytest.raises(TypeError, match=reason):
        extend_array(path, rows)
    assert path.read_bytes() == before
    assert [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize(
    ("dtype", "rows"),
    [("u2", [7, 8]), ("f4", [0.1, float("nan")]), ("f8", [1, 2]), ("i8", [True]), ("f4", np.float64([0.5, np.nan])),
     ("S4", [b"ab"]),
     ("c16", [1.5, 2])],
)  # fmt: skip
def test_rows_of_another_dtype_are_taken_where_they_stay_the_same(dtype: str, rows: Any) -> None:
    found = rows_like(rows, np.dtype(dtype), (3,))
    assert found.dtype == dtype
    assert np.array_equal(found, np.asarray(rows, dtype), equal_nan=dtype != "S4")


def test_what_another_tool_made_is_extended_and_keeps_the_rest(path: Path) -> None:
    for name, options in {
        "old": {"maxshape": (None, 4)}, "packed": {"maxshape": (None, 4), "compression": "gzip"}, "whole": {},
        "turned": {"maxshape": (None, None)},
    }.items():  # fmt: skip
        file = path.with_name(f"{name}.h5")
        file.parent.mkdir(exist_ok=True)
        with h5py.File(file, "w") as hdf5:  # in the format of 1998
            hdf5.create_dataset("data", data=np.zeros((5, 4)), **options).attrs["unit"] = "mm"
            hdf5["besides/other"] = [1, 2]
            hdf5.attrs["made_by"] = "another tool"
        extend_array(file, np.ones((1, 4)))
        extend_array(file, np.full((1, 4), 2.0))
        with h5py.File(file) as hdf5:
            assert hdf5["data"][:, 0].tolist() == [0] * 5 + [1, 2], name
            assert hdf5["data"].compression == options.get("compression")
            assert (hdf5["data"].attrs["unit"], hdf5.attrs["made_by"]) == ("mm", "another tool")
            assert hdf5["besides/other"][:].tolist() == [1, 2]


def test_another_tool_extends_what_we_made_and_we_go_on(path: Path) -> None:
    extend_array(path, np.arange(5000.0))
    with h5py.File(path, "r+") as hdf5:
        hdf5["data"].resize(10_000, 0)
        hdf5["data"][5000:] = np.arange(5000.0, 10_000)
    extend_array(path, [10_000.0])
    assert np.array_equal(ArrayFile(path), np.arange(10_001.0))


def test_an_array_that_is_open_for_writing_elsewhere_is_waited_for(path: Path) -> None:
    extend_array(path, [1])
    hdf5 = h5py.File(path, "r+")
    closing = threading.Timer(0.2, hdf5.close)
    closing.start()
    extend_array(path, [2])
    closing.join()
    assert ArrayFile(path)[:].tolist() == [1, 2]


def test_a_link_is_replaced_and_not_followed(path: Path, tmp_path: Path) -> None:
    write_array(tmp_path / "other.h5", [1])
    path.parent.mkdir()
    path.symlink_to(tmp_path / "other.h5")
    write_array(path, [2])
    assert not path.is_symlink()
    assert ArrayFile(tmp_path / "other.h5")[:].tolist() == [1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_can_be_read_and_says_why_it_is_not_written(path: Path) -> None:
    extend_array(path, [1])
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        assert ArrayFile(path)[:].tolist() == [1]
        for act in (write_array, extend_array):
            with pytest.raises(Unavailable, match=r"Permission denied.*x\.h5|x\.h5.*Permission denied"):
                act(path, [2])
        assert ArrayFile(path)[:].tolist() == [1]
    finally:
        path.parent.chmod(0o755)


def test_threads_that_extend_an_array_written_whole_lose_no_row(path: Path) -> None:
    write_array(path, [-1])
    threads = [
        threading.Thread(target=lambda n=n: [extend_array(path, [n * 20 + i]) for i in range(20)]) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        rows = ArrayFile(path)[:]
        assert rows[0] == -1
        assert len(set(rows.tolist())) == len(rows)
    for thread in threads:
        thread.join()
    assert sorted(ArrayFile(path)[:].tolist()) == [*range(-1, 160)]


def test_a_lock_held_while_forking_is_not_inherited(path: Path) -> None:
    from smalti.directory.folder_lock import writing_alone
    from tests.forked_process import ForkedProcess

    extend_array(path, [1])
    with writing_alone(path.parent):
        child = ForkedProcess(lambda say: extend_array(path, [2]))
    child.release()
    assert child.finish().ended == 0
    assert ArrayFile(path)[:].tolist() == [1, 2]


def test_rows_that_look_like_a_journal_are_rows(path: Path) -> None:
    """The bytes of a file that a killed writer left, stored as numbers at the end of another file."""
    extend_array(path, np.zeros(100, "u1"))
    with path.open("r+b") as file:
        pending = PendingWrites(file.fileno(), path.stat().st_size)
        pending.seek(60)
        pending.write(memoryview(b"other"))
        changes = pending._in_order(None)
        from smalti.directory.hdf5 import pending_writes

        file.seek(0, os.SEEK_END)
        file.write(pending_writes._journal(changes, 12345))
        file.flush()
        assert journal(file.fileno()) == []
    assert ArrayFile(path).sum() == 0


def test_a_large_array_is_written_without_a_second_copy(path: Path) -> None:
    import tracemalloc

    array = np.zeros((64, 1024, 256), np.uint8)  # 16 MiB
    write_array(path, array[:1])
    tracemalloc.start()
    try:
        write_array(path, array)
        assert tracemalloc.get_traced_memory()[1] < array.nbytes // 4
        extend_array(path.with_name("grown.h5"), array)
        extend_array(path.with_name("grown.h5"), array)
        assert tracemalloc.get_traced_memory()[1] < array.nbytes // 4
    finally:
        tracemalloc.stop()


def test_a_process_whose_disk_was_full_ends_as_it_should(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    extend_array(path, np.zeros(1000))
    extend_array(path, np.zeros(1000))
    code = (
        "import resource, sys; from pathlib import Path; import numpy as np\n"
        "from smalti.directory.hdf5.arrays import extend_array\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "try: extend_array(Path(sys.argv[1]), np.zeros(100_000))\n"
        "except OSError as error: print(error)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert "could not finish extending" in ended.stdout
    assert ended.returncode == 0, "what HDF5 had open was closed before the interpreter ended"
