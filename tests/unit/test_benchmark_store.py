"""The store's benchmark runs whole at a tiny size and reports what it measured; times are never judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.store.__main__ import measure
from benchmarks.store.measure import allocated_nbytes
from benchmarks.store.ours import Smalti
from benchmarks.store.peers import Arrays, Copy, FilePeer, Restic
from benchmarks.store.report import Results, markdown
from benchmarks.store.rounds import take_turn
from benchmarks.store.workload import Scale, files, write_versions

TINY = Scale(
    frames=(64, 64, 64),
    weights=(128, 4096),
    table_rows=2000,
    small_puts=3,
    gc_objects=100,
    runs=100,
    large_nbytes=2**22,
)


class Tar(FilePeer):
    """A command-line tool that is everywhere."""

    name = "tar"
    needs = "tar"
    kept_in = "home"

    def ingest(self) -> None:
        self.run("tar", "-cf", self.folder / "home" / "all.tar", ".")

    def load(self, names: list[str]) -> Arrays:
        self.run("tar", "-xf", self.folder / "home" / "all.tar", cwd=self.out)
        return self.restored(self.out, names)


class Forgetful(Copy):
    name = "forgetful"

    def load(self, names: list[str]) -> Arrays:
        return {name: np.zeros_like(array) for name, array in super().load(names).items()}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folders = (tmp_path_factory.mktemp(name) for name in ("memory", "disk"))
    return measure(*folders, TINY, rounds=1, peers=[Smalti, Copy, Tar], large=True)


def rows_of(page: str, first_cell: str) -> list[list[str]]:
    """The rows, as cells, of the table whose head begins with ``first_cell``."""
    lines = page.split(f"| {first_cell} |")[1].splitlines()[2:]
    return [line.strip("| ").split(" | ") for line in lines[: lines.index("")]]


def test_the_report_sets_every_peer_beside_us_in_all_columns(results: Results) -> None:
    rows = rows_of(markdown(results, left_out=[]), "peer")
    assert [row[0].rsplit(" ", 1)[0] for row in rows] == ["**smalti**", "cp + fsync", "tar"]
    assert {len(row) for row in rows} == {10}


def test_the_report_judges_each_target(results: Results) -> None:
    rows = rows_of(markdown(results, left_out=[]), "measure")
    assert {row[-1] for row in rows} <= {"reached", "**falls short**"}
    assert [row[0] for row in rows if "peak memory" in row[0]]


def test_what_is_not_installed_is_named_with_the_way_to_get_it(results: Results) -> None:
    assert "- restic: it is not installed; apt-get install restic." in markdown(results, left_out=[Restic])


def test_a_copy_grows_by_the_whole_version_and_we_by_nothing_when_nothing_changed(results: Results) -> None:
    [copied], [ours] = results.turns[Copy], results.turns[Smalti]
    assert copied.added_nbytes["again"] > TINY.nbytes
    assert ours.added_nbytes["again"] < TINY.nbytes / 10


def test_a_peer_that_gives_back_something_else_is_found_out(tmp_path: Path) -> None:
    write_versions(tmp_path / "versions", TINY)
    with pytest.raises(RuntimeError, match="forgetful gave back something else"):
        take_turn(Forgetful, tmp_path / "forgetful", tmp_path / "versions", packages=None)


def test_versions_differ_in_one_percent_of_rows_and_then_by_three_more(tmp_path: Path) -> None:
    write_versions(tmp_path, TINY)
    for name in files(tmp_path, "first"):
        first, changed, inserted = (
            np.load(files(tmp_path, version)[name]) for version in ("first", "changed", "inserted")
        )
        different = (first != changed).reshape(len(first), -1).any(axis=1)
        assert different.sum() == max(1, len(first) // 100)
        middle = len(first) // 2
        np.testing.assert_array_equal(np.delete(inserted, range(middle, middle + 3), axis=0), changed)


def test_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 100_000)
    before = allocated_nbytes(tmp_path)
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    assert allocated_nbytes(tmp_path) == before
