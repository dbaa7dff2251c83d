"""The store's benchmark runs whole at a tiny size and reports what it measured; times are never judged."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import page
from benchmarks.line import at_least, at_most
from benchmarks.store import arrays
from benchmarks.store.__main__ import CASES, page_of
from benchmarks.store.measure import allocated_nbytes
from benchmarks.store.odd_rows import ROWS, of_rows
from benchmarks.store.ours import Smalti
from benchmarks.store.peers import Arrays, Copy, FilePeer
from benchmarks.store.raw_files import npz_of
from benchmarks.store.rounds import Turn, take_turn
from benchmarks.store.setup import in_turns
from benchmarks.store.sparse import ROW_NBYTES, write_sparse_array
from benchmarks.store.workload import Scale, files, write_versions
from smalti import open_store

TINY = Scale(
    frames=(64, 64, 64),
    weights=(128, 4096),
    table_rows=2000,
    odd_nbytes=2**20,
    raw_nbytes=2**20,
    small_puts=3,
    put_together=20,
    names=20,
    sparse_nbytes=2**26,
    gc_objects=200,
    large_nbytes=2**22,
)
WITHOUT_OTHERS = [case for case in CASES if case not in ("arrays", "disk")]


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
def turns(tmp_path_factory: pytest.TempPathFactory) -> dict[type[FilePeer], list[Turn]]:
    return arrays.take_turns(tmp_path_factory.mktemp("turns"), TINY, [Smalti, Copy, Tar], 1, None)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of every case that needs nobody beside us."""
    memory, disk, kept = (tmp_path_factory.mktemp(name) for name in ("memory", "disk", "kept"))
    reader = page.parser("store", CASES)
    where = ["--results", str(kept), "--report", str(kept / "store.md")]
    given = reader.parse_args(["--peers", "none", "--rounds", "1", "--only", *WITHOUT_OTHERS, *where])
    page.write(page_of(TINY, memory, disk), given)
    assert [*memory.iterdir(), *disk.iterdir()] == [], "a case left something behind"
    return (kept / "store.md").read_text()


def rows_of(text: str, first_cell: str) -> list[list[str]]:
    """The rows, as cells, of the table whose head begins with ``first_cell``."""
    lines = text.split(f"| {first_cell} |")[1].splitlines()[2:]
    return [line.strip("| ").split(" | ") for line in lines[: (*lines, "").index("")]]


def test_everyone_stands_beside_us_in_all_columns(turns: dict[type[FilePeer], list[Turn]]) -> None:
    rows = rows_of(arrays.of_peers(turns, dict.fromkeys(turns, "1.0")), "peer")
    assert [row[0] for row in rows] == ["**smalti** 1.0", "cp + fsync 1.0", "tar 1.0"]
    assert {len(row) for row in rows} == {10}


def test_in_memory_every_figure_is_judged_and_on_a_disk_only_the_slice(turns: dict[type[FilePeer], list[Turn]]) -> None:
    assert all(line.reached is not None and line.before for line in arrays.lines(turns, ""))
    assert [line.measure for line in arrays.lines_on_disk(turns, "") if line.reached is not None] == [arrays.SLICE.what]


def test_a_copy_grows_by_the_whole_version_and_we_by_nothing_when_nothing_changed(
    turns: dict[type[FilePeer], list[Turn]],
) -> None:
    [copied], [ours] = turns[Copy], turns[Smalti]
    assert copied.added_nbytes["again"] > TINY.nbytes
    assert ours.added_nbytes["again"] < TINY.nbytes / 10


def test_every_case_is_measured_and_the_others_are_named(written: str) -> None:
    assert written.endswith("Not measured: arrays, disk.\n")
    for what in ("a new version of a name", "records of 5 bytes", "NPZ, then its arrays", "a sparse array", "gc, "):
        assert what in written, f"the page says nothing of {what}"


def test_no_line_of_the_page_lacks_a_cell(written: str) -> None:
    for table in written.split("## ")[1:]:
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) == 1, rows


def test_what_was_measured_once_stays_on_the_page(tmp_path: Path) -> None:
    whole = page_of(TINY, tmp_path, tmp_path)
    line = page.found([at_most(1, "kept", 0.5, "{:.1f} ms", table="Earlier")])
    (tmp_path / "tables.json").write_text(json.dumps({"machine": "a machine", **line}))
    given = page.parser("store", CASES).parse_args(
        ["--only", "slices", "--results", str(tmp_path), "--report", str(tmp_path / "page.md")]
    )
    page.write(whole, given)
    assert "| kept | 1.0 ms | 0.5 ms | reached |" in (tmp_path / "page.md").read_text()


def test_a_line_says_which_side_of_its_goal_is_good() -> None:
    assert (at_most(2, "", 2, "{}").reached, at_most(2, "", 3, "{}").reached) == (True, False)
    assert (at_least(2, "", 2, "{}").reached, at_least(2, "", 1, "{}").reached) == (True, False)
    assert at_most(None, "", 1, "{}").reached is None


def test_everyone_takes_every_turn_and_nobody_is_always_first() -> None:
    order: list[str] = []
    names = ("a", "b", "c")
    given = in_turns({name: lambda name=name: order.append(name) or len(order) for name in names}, rounds=3)
    assert sorted(order) == sorted(3 * names)
    assert {order[0], order[3], order[6]} == {*names}
    assert all(len(numbers) == 3 for numbers in given.values())


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


@pytest.mark.parametrize("name", ROWS)
def test_rows_have_the_size_that_their_name_says(name: str) -> None:
    array = of_rows(bytes(range(256)) * 256, *ROWS[name])
    said = re.search(r"of ([\d,]+) bytes", name)
    assert said, name
    assert array[0].nbytes == int(said[1].replace(",", ""))


def test_an_npz_holds_the_arrays_it_stands_beside() -> None:
    arrays_of, content = npz_of(2**20)
    for array in arrays_of.values():
        assert array.tobytes() in content


def test_the_array_that_is_a_hole_takes_no_room_and_is_what_a_put_of_zeros_makes(tmp_path: Path) -> None:
    address = write_sparse_array(tmp_path / "sparse", 16 * ROW_NBYTES)
    assert open_store("memory:").put(np.zeros((16, ROW_NBYTES), np.uint8)).digest == address
    assert not np.any(open_store(tmp_path / "sparse").get(address))
    large = write_sparse_array(tmp_path / "sparse", 2**30)
    assert open_store(tmp_path / "sparse").record(large).nbytes == 2**30
    assert allocated_nbytes(tmp_path / "sparse") < 2**22


def test_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 100_000)
    before = allocated_nbytes(tmp_path)
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    assert allocated_nbytes(tmp_path) == before
