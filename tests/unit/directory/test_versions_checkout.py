"""A checkout gives every byte back, loses nothing of yours, and goes on where it was interrupted; diff names rows."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import open_store
from smalti.directory import versions
from smalti.directory.hdf5.arrays import ArrayFile, extend_array, write_array
from smalti.directory.versions.contents import HISTORY_FILE
from smalti.errors import NotFound, Refused
from smalti.store import RowChange, Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    return open_store(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "experiment"


def files(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.name != HISTORY_FILE
    }


def three_versions(folder: Path, store: Store) -> list[dict[str, bytes | None]]:
    seen = []
    write_array(folder / "x.h5", np.random.default_rng(0).random((3000, 40)))
    extend_array(folder / "grown.h5", np.random.default_rng(1).random((2000, 30)))
    (folder / "script.sh").write_text("#!/bin/sh\n")
    (folder / "empty").mkdir()
    versions.commit(folder, "1", store)
    seen.append(files(folder))
    extend_array(folder / "grown.h5", np.ones((3, 30)))
    (folder / "script.sh").chmod(0o755)
    (folder / "empty").rmdir()
    (folder / "empty").write_text("now a file")
    write_array(folder / "inner" / "y.h5", 1)
    versions.commit(folder, "2", store)
    seen.append(files(folder))
    extend_array(folder / "x.h5", np.ones((1, 40)))
    (folder / "grown.h5").unlink()
    versions.commit(folder, "3", store)
    seen.append(files(folder))
    return seen


def test_every_version_comes_back_to_the_byte(folder: Path, store: Store) -> None:
    seen = three_versions(folder, store)
    for number in (1, 3, 2, 1, 2, 3):
        done = versions.checkout(folder, number, store)
        assert done.version.number == number
        assert files(folder) == seen[number - 1]
        assert os.access(folder / "script.sh", os.X_OK) == (number > 1)
        assert not versions.diff(folder, store)
        assert not versions.commit(folder, "nothing", store).is_new
    assert (versions.checkout(folder, 3, store).written, versions.checkout(folder, 3, store).kept) == (0, 4)


def test_a_version_is_named_by_number_or_digest(folder: Path, store: Store) -> None:
    three_versions(folder, store)
    one = versions.log(folder, store)[-1]
    for name in (1, one, one.digest, one.digest.removeprefix("sha256:")[:8]):
        assert versions.checkout(folder, name, store).version.number == 1
    for name in (9, 0, "sha256:00", ""):
        with pytest.raises(NotFound, match="there are: 1, 2, 3"):
            versions.checkout(folder, name, store)


def test_what_was_not_committed_is_not_lost(folder: Path, store: Store) -> None:
    three_versions(folder, store)
    write_array(folder / "x.h5", [1])
    (folder / "notes.txt").write_text("mine")
    before = files(folder)
    with pytest.raises(Refused, match=r"notes\.txt, .*x\.h5 would be lost"):
        versions.checkout(folder, 1, store)
    assert files(folder) == before
    versions.checkout(folder, 1, store, force=True)
    assert not (folder / "notes.txt").exists()
    assert ArrayFile(folder / "x.h5").shape == (3000, 40)


def test_a_checkout_goes_on_where_it_was_interrupted(folder: Path, store: Store) -> None:
    seen = three_versions(folder, store)

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        versions.checkout(folder, 1, store, progress=stop)
    assert files(folder) not in seen
    versions.checkout(folder, 1, store)
    assert files(folder) == seen[0]
    with pytest.raises(KeyboardInterrupt):
        versions.checkout(folder, 3, store, progress=stop)
    versions.checkout(folder, 2, store)
    assert files(folder) == seen[1], "another version is as good as the one that was interrupted"


def test_a_diff_names_files_and_rows(folder: Path, store: Store) -> None:
    three_versions(folder, store)
    rows = ArrayFile(folder / "x.h5")[:]
    rows[[7, 8, 9, 2000]] = 0
    write_array(folder / "x.h5", rows)
    (folder / "note").write_text("new")
    (folder / "inner" / "y.h5").unlink()
    found = versions.diff(folder, store)
    assert (found.added, found.removed) == (("note",), ("inner/y.h5",))
    assert [change.path for change in found.changed] == ["x.h5"]
    assert found.changed[0].rows == (RowChange((7, 10), (7, 10)), RowChange((2000, 2001), (2000, 2001)))
    assert str(found) == "+note\n-inner/y.h5\n≠x.h5: rows 7:10, 2000"
    between = versions.diff(folder, store, 1, 2)
    assert between.added == ("inner", "inner/y.h5")
    assert [change.path for change in between.changed] == ["empty", "grown.h5", "script.sh"]
    grown = between.changed[1]
    assert grown.rows == (RowChange((2000, 2000), (2000, 2003)),)
    assert str(between).splitlines()[-2:] == [
        "≠grown.h5: rows 2000:2003; shape [2000, 30] -> [2003, 30]", "≠script.sh: executable",
    ]  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    removed=st.tuples(st.integers(0, 400), st.integers(0, 60)),
    inserted=st.tuples(st.integers(0, 300), st.integers(0, 60)),
    changed=st.sets(st.integers(0, 299), max_size=5),
)
def test_outside_the_rows_that_a_diff_names_all_is_equal(
    tmp_path_factory: pytest.TempPathFactory,
    removed: tuple[int, int],
    inserted: tuple[int, int],
    changed: set[int],
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SMALTI_ROOT", str(folder.parent))
        _check_rows(folder, open_store("memory:"), removed, inserted, changed)


def _check_rows(
    folder: Path, store: Store, removed: tuple[int, int], inserted: tuple[int, int], changed: set[int]
) -> None:
    old = np.random.default_rng(5).random((500, 300))
    new = np.delete(old, slice(removed[0], sum(removed)), 0)
    new = np.insert(new, inserted[0], np.random.default_rng(6).random((inserted[1], 300)), 0)
    new[sorted(changed)] = 1
    write_array(folder / "x.h5", old)
    versions.commit(folder, "old", store)
    write_array(folder / "x.h5", new)
    found = versions.diff(folder, store)
    if np.array_equal(old, new):
        assert not found
        return
    made, at = [], 0
    for row in found.changed[0].rows or ():
        made += [old[at : row.before[0]], new[slice(*row.after)]]
        at = row.before[1]
        assert sum(map(len, made)) == row.after[1]
    assert np.array_equal(np.concatenate([*made, old[at:]]), new)
