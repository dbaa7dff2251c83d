"""The benchmark of finding runs measures what it says, at a small size."""

from __future__ import annotations

from pathlib import Path

from benchmarks.runs.finding import address_of, filled, finding, rebuilding
from smalti import open_store
from smalti.store import Use


def test_the_rows_filled_in_are_found_through_a_store(tmp_path: Path) -> None:
    filled(tmp_path, 300)
    store = open_store(tmp_path)
    assert store.runs_of(address_of(10)) == [Use("run_0000000a", "wrote"), Use("run_0000000d", "read")]
    chain = store.lineage(address_of(299), "upstream")
    assert {hop.run for hop in chain} == {f"run_{number:08x}" for number in range(2, 300, 3)}


def test_figures_are_taken(tmp_path: Path) -> None:
    figures = finding(tmp_path / "index", 2000)
    assert (figures.runs, figures.hops) == (2000, 20.0)
    assert figures.index_nbytes > 100_000
    assert rebuilding(tmp_path / "files", 50).files == 50
