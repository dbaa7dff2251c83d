"""Laws of the store: once, exactly, verified, durable, and damage is found and never spread."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalti import Ref, Store, Tree, open_store
from smalti.errors import Ambiguous, Damaged, NotFound, Refused, Unavailable
from smalti.store.documents import LocalDocuments
from smalti.store.names import Names
from smalti.store.record import seal

PLAIN_DTYPES = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes(endianness="?")
    | hnp.floating_dtypes(endianness="?")
    | hnp.complex_number_dtypes(endianness="?", sizes=(64, 128))
    | hnp.datetime64_dtypes(endianness="?")
    | hnp.byte_string_dtypes(min_len=1, max_len=5)
    | hnp.unicode_string_dtypes(endianness="?", min_len=1, max_len=5)
)
PLAIN_ARRAYS = hnp.arrays(PLAIN_DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for property tests: what is in it already never matters."""
    return open_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def stored_files(store: Store) -> list[Path]:
    """Every file but the index, which is a cache."""
    found = (path for path in Path(store.place).rglob("*") if path.is_file())
    return sorted(path for path in found if not path.name.startswith("index.sqlite"))


def flip_a_bit(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << (position % 8)
    path.chmod(0o644)
    path.write_bytes(content)


@settings(max_examples=60, deadline=None)
@given(array=PLAIN_ARRAYS)
def test_an_array_comes_back_with_equal_bytes_dtype_and_shape(shared_store: Store, array: np.ndarray) -> None:
    back = shared_store.get(shared_store.put(array))
    native = array.astype(array.dtype.newbyteorder("<"))
    assert (back.dtype, back.shape, back.tobytes()) == (native.dtype, native.shape, native.tobytes())


@settings(max_examples=30, deadline=None)
@given(array=PLAIN_ARRAYS)
def test_memory_order_and_byte_order_do_not_change_the_address(shared_store: Store, array: np.ndarray) -> None:
    address = shared_store.put(array).digest
    assert shared_store.put(np.array(array, order="F")).digest == address
    assert shared_store.put(array.astype(array.dtype.newbyteorder(">"))).digest == address
    if array.ndim:
        assert shared_store.put(array[::-1][::-1]).digest == address


def test_equal_bytes_under_another_dtype_or_shape_have_another_address(store: Store) -> None:
    zeros = [np.zeros(4, np.int32), np.zeros(4, np.float32), np.zeros((2, 2), np.int32), np.zeros(2, np.int64)]
    assert len({store.put(value).digest for value in [*zeros, bytes(16)]}) == 5


def test_addresses_of_known_values_never_change(store: Store) -> None:
    """If this fails, values stored before are no longer found by content."""
    known = {
        "array": np.arange(12, dtype=np.int16).reshape(3, 4),
        "bytes": b"smalti",
        "tree": {"a": np.arange(3.0), "b": {"c": "text", "d": [1, 2.5, None]}},
    }
    assert {name: store.put(value).digest for name, value in known.items()} == PINNED


def test_an_address_is_the_sha256_of_the_header_and_the_blake3_ids_of_the_leaves(store: Store) -> None:
    array = np.random.default_rng(0).random((3, 2048))
    header = b'{"dtype":"<f8","kind":"array","shape":[3,2048]}'
    leaves = b"".join(blake3(row.tobytes()).digest() for row in array)
    assert store.put(array).digest == "sha256:" + hashlib.sha256(header + leaves).hexdigest()


def test_an_equal_value_under_another_name_adds_no_content(store: Store) -> None:
    scan = {"diffraction": np.random.default_rng(0).random((50, 64, 64), np.float32), "energy": 8.8}
    first = store.put(scan, name="first")
    before = sum(path.stat().st_size for path in stored_files(store))
    second = store.put(dict(reversed(scan.items())), name="second")
    assert (second.digest, second.new_bytes) == (first.digest, 0)
    assert sum(path.stat().st_size for path in stored_files(store)) - before < 1000


def test_two_trees_share_an_equal_child(store: Store) -> None:
    child = np.random.default_rng(0).random(10_000)
    store.put({"x": child, "n": 1})
    assert store.put({"x": child, "n": 2}).new_bytes < 1000


def test_mappings_of_mappings_come_back_equal(store: Store) -> None:
    value = {"array": np.arange(5), "raw": b"\0\1", "deep": {"er": np.float32(2.5), "text": "é"}, "none": None}
    back = store.get(store.put(value))
    assert back["raw"] == b"\0\1"
    assert back["none"] is None
    assert back["deep"]["text"] == "é"
    assert back["deep"]["er"] == np.float32(2.5)
    np.testing.assert_array_equal(back["array"], np.arange(5))


def test_a_reference_can_stand_for_a_stored_child(store: Store) -> None:
    child = store.put(np.arange(1000))
    assert store.put({"x": child}).digest == store.put({"x": np.arange(1000)}).digest


def test_the_array_file_opens_in_numpy_with_data_on_a_page(store: Store) -> None:
    array = np.random.default_rng(0).random((300, 40))
    path = store.file(store.put(array))
    assert path is not None
    mapped = np.load(path, mmap_mode="r")
    assert mapped.offset % 4096 == 0
    np.testing.assert_array_equal(mapped, array)


def test_a_value_that_was_got_cannot_be_written_to(store: Store) -> None:
    with pytest.raises(ValueError, match="read-only"):
        store.get(store.put(np.zeros(5)))[0] = 1


def test_a_name_a_digest_a_prefix_and_a_ref_mean_the_same(store: Store) -> None:
    ref = store.put(np.arange(7), name="run/42")
    for form in ("run/42", ref.digest, ref.digest[: len("sha256:") + 8], ref.digest.removeprefix("sha256:")[:8], ref):
        assert store.ref(form) == Ref(ref.digest, "array", 56)


def test_a_name_keeps_every_version(store: Store) -> None:
    addresses = [store.put(np.arange(n), name="training").digest for n in (1, 2, 2, 1)]
    assert [v.address for v in store.versions("training")] == [addresses[0], addresses[1], addresses[3]]
    assert store.resolve("training") == addresses[3]


def test_names_given_at_once_by_many_writers_all_count(store: Store) -> None:
    def write(n: int) -> None:
        store.put(np.arange(n), name="busy")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [v.version for v in store.versions("busy")] == list(range(1, 9))
    assert store.fsck().clean


def test_a_prefix_that_fits_two_objects_asks_for_more_digits(store: Store) -> None:
    ref = store.put(np.arange(3))
    twin = Path(store.place) / "data" / ref.digest[7:9] / (ref.digest[7:20] + "0" * 51)
    twin.mkdir()
    with pytest.raises(Ambiguous, match="fits 2 objects"):
        store.get(ref.digest[7:16])


@pytest.mark.parametrize("reference", ["nothing", "a3f5c8d2", "sha256:" + "0" * 64, "../x", ""])
def test_a_reference_to_nothing_is_one_sentence(store: Store, reference: str) -> None:
    with pytest.raises(NotFound, match="in the store at"):
        store.get(reference)


@pytest.mark.parametrize("name", ["", "../x", "/abs", "a//b", "a/", ".hidden", "a b", "x" * 129, "né", "a\n"])
def test_a_name_that_could_leave_the_store_is_refused(store: Store, name: str) -> None:
    with pytest.raises(Refused, match="cannot be a name"):
        store.put(b"x", name=name)
    assert not stored_files(store)


def test_a_name_that_differs_by_case_only_is_refused_where_the_file_system_ignores_case(tmp_path: Path) -> None:
    class IgnoringCase(LocalDocuments):
        def keys(self, prefix: str) -> Iterator[str]:
            return super().keys(prefix.lower())

    names = Names(IgnoringCase(tmp_path))
    (tmp_path / "names" / "run").mkdir(parents=True)
    (tmp_path / "names" / "run" / "@000001.json").write_bytes(
        seal({"name": "Run", "version": 1, "address": "sha256:" + "0" * 64, "at": "2026-01-01T00:00:00+00:00"})
    )
    with pytest.raises(Refused, match="'run' differs from the existing name 'Run' by case only"):
        names.give("run", "sha256:" + "1" * 64)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([object()]), "dtype object cannot be stored exactly"),
        (np.ma.masked_array([1, 2], [True, False]), "masked array"),
        (np.zeros(2, np.longdouble), "cannot be stored exactly"),
        ({1: np.zeros(2)}, "keys are text"),
        ({"a": [np.zeros(2)]}, r"the document\[0\] is a ndarray, which JSON cannot hold"),
        ({"a": object()}, "a object has no codec"),
        ((1, 2), "a tuple has no codec"),
        ({"a": float("nan")}, "the document is nan, which JSON cannot hold"),
        (Tree({}, {"a": float("nan")}), "nan, which JSON cannot hold"),
    ],
)
def test_what_cannot_be_stored_exactly_is_refused_and_nothing_is_written(
    store: Store, value: object, message: str
) -> None:
    with pytest.raises(Refused, match=message):
        store.put(value)
    assert not stored_files(store)


@pytest.fixture
def full_store(store: Store) -> Store:
    """A store with every kind of file: inline leaves, many leaves, bytes, a tree, names."""
    store.put(
        {"small": np.arange(9), "large": np.random.default_rng(0).random((70, 2048)), "raw": b"raw bytes", "n": 1},
        name="everything/here",
    )
    return store


def test_one_flipped_bit_anywhere_is_found_and_named(full_store: Store) -> None:
    files = stored_files(full_store)
    assert {path.name for path in files} >= {"metadata.json", "leaves.bin", "data.npy", "data.bin", "@000001.json"}
    for path in files:
        original, size = path.read_bytes(), path.stat().st_size
        for position in sorted({0, 1, size // 3, size // 2, size - 2, size - 1}):
            flip_a_bit(path, position)
            report = full_store.fsck()
            owner = path.parent.name if path.parent.name in str([p.place for p in report.problems]) else str(path)
            assert [owner in p.place for p in report.problems].count(True) == 1, (path, position, report)
            path.write_bytes(original)
    assert full_store.fsck().clean


def test_a_damaged_object_names_the_names_that_need_it(full_store: Store) -> None:
    path = full_store.file(full_store.record("everything/here").children["small"])
    assert path is not None
    flip_a_bit(path, 199)
    (problem,) = full_store.fsck().problems
    assert problem.names == ("everything/here",)
    assert "data.npy" in problem.what


def test_a_missing_object_is_found_by_what_refers_to_it(full_store: Store) -> None:
    address = full_store.record("everything/here").children["raw"]
    folder = Path(full_store.place) / "data" / address[7:9] / address[7:]
    folder.rename(Path(full_store.place) / "gone")
    (problem,) = full_store.fsck().problems
    assert (problem.place, problem.names) == (address, ("everything/here",))
    assert "missing" in problem.what


def test_a_read_of_damaged_content_raises_and_names_the_place(store: Store) -> None:
    ref = store.put(np.random.default_rng(0).random((8, 2048)))
    path = store.file(ref)
    assert path is not None
    flip_a_bit(path, 4096 + 3 * 16384 + 5)
    with pytest.raises(Damaged, match=rf"data.npy of {ref.digest} is damaged in the 16384 bytes from {3 * 16384}"):
        store.get(ref)


def test_a_slice_reads_and_verifies_only_its_own_leaves(store: Store) -> None:
    array = np.random.default_rng(0).random((8, 2048))
    path = store.file(ref := store.put(array))
    assert path is not None
    flip_a_bit(path, 4096 + 3 * 16384)
    lazy = store.open(ref)
    np.testing.assert_array_equal(lazy[4:7], array[4:7])
    np.testing.assert_array_equal(lazy[-1, ::2], array[-1, ::2])
    with pytest.raises(Damaged):
        lazy[2:4]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_lazy_array_indexes_like_numpy(shared_store: Store, data: st.DataObject) -> None:
    array = data.draw(hnp.arrays(np.int16, hnp.array_shapes(min_dims=1, max_dims=3, max_side=6)))
    key = data.draw(hnp.basic_indices(array.shape, allow_newaxis=False))
    np.testing.assert_array_equal(shared_store.open(shared_store.put(array))[key], array[key])


def test_putting_the_same_value_again_repairs_a_damaged_object(store: Store) -> None:
    array = np.random.default_rng(0).random(5000)
    path = store.file(ref := store.put(array))
    assert path is not None
    flip_a_bit(path, 9000)
    assert store.put(array).new_bytes > array.nbytes
    np.testing.assert_array_equal(store.get(ref), array)
    assert store.fsck().clean
    assert len(list((Path(store.place) / "quarantine").iterdir())) == 1


def test_stored_files_are_read_only(full_store: Store) -> None:
    assert {path.stat().st_mode & 0o777 for path in stored_files(full_store)} == {0o444}


def test_a_put_leaves_no_temporary_files(full_store: Store) -> None:
    assert not list((Path(full_store.place) / "tmp").iterdir())


def test_a_machine_that_refuses_to_write_is_one_sentence_and_the_store_stays_clean(tmp_path: Path) -> None:
    program = """
import resource, signal, sys, numpy as np
from smalti import open_store
from smalti.store.documents import LocalDocuments
from smalti.store.names import Names
from smalti.store.record import seal
from smalti.errors import Unavailable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    open_store(sys.argv[1]).put(np.ones(100_000))
except Unavailable as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "could not finish storing sha256:" in done.stdout
    assert "File too large" in done.stdout
    assert open_store(tmp_path).fsck().clean
    assert not stored_files(open_store(tmp_path))


def test_a_writer_killed_at_any_moment_leaves_a_clean_store_with_all_it_acknowledged(tmp_path: Path) -> None:
    program = """
import itertools, sys, numpy as np
from smalti import open_store
store = open_store(sys.argv[1])
for n in itertools.count():
    print(store.put({"x": np.full((3, 20_000), n)}, name=f"n{n}").digest, flush=True)
"""
    for trial in range(4):
        writer = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(3 + 5 * trial)]
        writer.kill()
        acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
        writer.wait()
        store = open_store(tmp_path)
        assert store.fsck().clean
        assert all(store.get(address)["x"].shape == (3, 20_000) for address in acknowledged)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Refused, match="is a file, but a store is a folder"):
        open_store(tmp_path / "file")


def test_a_store_that_cannot_be_created_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Unavailable, match="Not a directory"):
        open_store(tmp_path / "file" / "store").put(b"x")


PINNED = {
    "array": "sha256:e5dcecf930e86d707d2a1728516d5885c911988983d878f13f295daeda445920",
    "bytes": "sha256:39a6f95ae27a72f418675f149454061d6d78e45889eded92ba02486926acf3b0",
    "tree": "sha256:ce19537f7b302adc4d99bccc973b1dd7c28803f5d036aff602d6d84764cb3c28",
}
