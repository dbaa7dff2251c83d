"""What is true of a store in a folder beside the laws of every store, which ``smalti.testing.StoreSuite`` holds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from smalti import Ref, Store, open_store
from smalti.errors import NotFound, Refused, Unavailable
from smalti.store.backends.base import Entry
from smalti.store.backends.local.backend import LocalBackend
from smalti.store.documents import Documents
from smalti.store.format.sealed import seal
from smalti.store.names import Names


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def stored_files(store: Store) -> list[Path]:
    """Every file but the index, which is a cache."""
    found = (path for path in Path(store.place).rglob("*") if path.is_file())
    return sorted(path for path in found if not path.name.startswith("index.sqlite"))


@pytest.fixture
def full_store(store: Store) -> Store:
    """A store with every kind of file: small values in their records, few leaves, many leaves, bytes, a tree, names."""
    store.put(
        {
            "small": np.arange(9),
            "some": np.arange(999),
            "large": np.random.default_rng(0).random((70, 2048)),
            "raw": b"raw bytes",
            "n": 1,
        },
        name="everything/here",
    )
    return store


def test_the_damaged_copy_is_kept_aside_when_the_same_value_is_put_again(store: Store) -> None:
    ref = store.put(np.arange(5000))
    path = store.file(ref)
    assert path is not None
    damaged = path.read_bytes()[:-1]
    path.chmod(0o644)
    path.write_bytes(damaged)
    store.put(np.arange(5000))
    assert store.fsck().clean
    (aside,) = (Path(store.place) / "quarantine").rglob("data.npy")
    assert aside.read_bytes() == damaged


def test_a_name_that_differs_by_case_only_is_refused_where_the_file_system_ignores_case(tmp_path: Path) -> None:
    class IgnoringCase(LocalBackend):
        def list(self, prefix: str) -> Iterator[Entry]:
            return super().list(prefix.lower())

    names = Names(Documents(IgnoringCase(tmp_path)))
    (tmp_path / "names" / "run").mkdir(parents=True)
    (tmp_path / "names" / "run" / "@000001.json").write_bytes(
        seal({"name": "Run", "version": 1, "address": "sha256:" + "0" * 64, "at": "2026-01-01T00:00:00+00:00"})
    )
    with pytest.raises(Refused, match="'run' differs from the existing name 'Run' by case only"):
        names.give("run", "sha256:" + "1" * 64)


def test_stored_files_are_read_only(full_store: Store) -> None:
    assert {path.stat().st_mode & 0o777 for path in stored_files(full_store)} == {0o444}


def test_a_put_leaves_no_temporary_files(full_store: Store) -> None:
    assert not list((Path(full_store.place) / "tmp").iterdir())


def test_a_machine_that_refuses_to_write_is_one_sentence_and_the_store_stays_clean(tmp_path: Path) -> None:
    program = """
import resource, signal, sys, numpy as np
from smalti import open_store
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
    assert "could not finish writing data.npy in" in done.stdout
    assert "File too large" in done.stdout
    assert [path.name for path in stored_files(open_store(tmp_path))] == ["store.json"]
    assert open_store(tmp_path).fsck().clean


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Refused, match="is a file, but a store is a folder"):
        open_store(tmp_path / "file")


def test_a_store_that_cannot_be_created_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Unavailable, match="Not a directory"):
        open_store(tmp_path / "file" / "store").put(b"x")


def test_a_tree_that_is_like_an_earlier_one_has_the_record_it_would_have_had_alone() -> None:
    store, alone = open_store("memory:"), open_store("memory:")
    one, two, three = (store.put(bytes([n]) * n) for n in (1, 2, 3))
    earlier = store.put({"kept": one, "changed": two, "removed": three})
    later = store.put({"kept": one, "changed": three, "added": b"new"}, like=earlier)
    again = alone.put({"kept": b"\1", "changed": b"\3" * 3, "added": b"new"})
    assert (later.digest, later.nbytes) == (again.digest, again.nbytes)


def test_a_reference_to_nothing_is_found_out_beside_an_earlier_tree_too() -> None:
    store = open_store("memory:")
    earlier = store.put({"kept": b"1"})
    lost = Ref("sha256:" + "0" * 64, "bytes", 1)
    with pytest.raises(NotFound):
        store.put({"kept": lost}, like=earlier)
    with pytest.raises(NotFound):
        store.put({"kept": lost}, like=lost)
