"""Judging a batch: one bad file cannot take the others down, and each is judged exactly once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.compute import ChildLimits, ChildStopped
from smalti.errors import Unavailable
from smalti.ingest.ledger import Waiting
from smalti.ingest.worker import judge, next_batch

Progress = Callable[[dict[str, Any]], None]


class Child:
    """Stands for the child process: reads names, and is ended by those that begin with ``kill``, after some others."""

    def __init__(self, stops_after: int = 1000) -> None:
        self.groups: list[list[str]] = []
        self._stops_after = stops_after

    def __call__(
        self, function: str, request: Mapping[str, Any], on_progress: Progress, *, limits: ChildLimits
    ) -> dict[str, Any]:
        names = [Path(file["path"]).name for file in request["files"]]
        self.groups.append(names)
        for number, name in enumerate(names):
            if number == self._stops_after:  # between two files, as a batch that has used up its time
                raise ChildStopped("it needed more time.", "time")
            on_progress({"begun": number})
            if name.startswith("kill"):
                raise ChildStopped("it needed more memory.", "memory")
            if name.startswith("last"):  # it was judged, and then the child dies all the same
                on_progress({"verdict": {"key": name, "accepted": True}})
                raise ChildStopped("it crashed.", "crash")
            if name.startswith("busy"):
                on_progress({"postponed": "the disk is full"})
            else:
                on_progress({"verdict": {"key": name, "accepted": True}})
        return {}


def judged(names: list[str], child: Child) -> tuple[list[tuple[str, bool]], list[str]]:
    verdicts: list[tuple[str, bool]] = []
    postponed: list[str] = []
    batch = [(Waiting(name, "1", 10, name), Path(name)) for name in names]
    judge(
        batch,
        {},
        lambda file, verdict: verdicts.append((file.name, verdict["accepted"])),
        lambda file, why: postponed.append(file.name),
        child,
    )
    return verdicts, postponed


def test_a_file_that_ends_its_reader_is_judged_again_alone_and_the_others_go_on() -> None:
    child = Child()
    verdicts, _ = judged(["a", "kill", "b", "c"], child)
    assert verdicts == [("a", True), ("kill", False), ("b", True), ("c", True)]
    assert child.groups == [["a", "kill", "b", "c"], ["kill"], ["b", "c"]]


def test_a_batch_that_used_up_its_limits_goes_on_in_the_next_child() -> None:
    child = Child(stops_after=2)
    verdicts, _ = judged(["a", "b", "c", "d", "e"], child)
    assert [name for name, _ in verdicts] == ["a", "b", "c", "d", "e"]
    assert child.groups == [["a", "b", "c", "d", "e"], ["c", "d", "e"], ["e"]]


@pytest.mark.parametrize("names", [["last"], ["a", "last"], ["last", "a"]])
def test_a_child_that_dies_after_its_verdict_changes_nothing(names: list[str]) -> None:
    assert judged(names, Child()) == ([(name, True) for name in names], [])


_NAMES = st.lists(st.integers(0, 99).flatmap(lambda n: st.sampled_from([f"a{n}", f"kill{n}", f"busy{n}"])), unique=True)


@given(_NAMES, st.integers(1, 5))
def test_whatever_ends_the_children_each_file_is_judged_once_in_order(names: list[str], stops_after: int) -> None:
    verdicts, postponed = judged(names, Child(stops_after)) if names else ([], [])
    assert verdicts == [(name, name.startswith("a")) for name in names if not name.startswith("busy")]
    assert postponed == [name for name in names if name.startswith("busy")]


def test_what_the_machine_does_wrong_is_no_verdict_on_a_file() -> None:
    assert judged(["busy"], Child()) == ([], ["busy"])


@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
def test_a_child_that_dies_before_it_opens_a_file_is_the_machines_fault(names: list[str]) -> None:
    with pytest.raises(Unavailable, match="no file could be judged"):
        judged(names, Child(stops_after=0))


def test_a_verdict_names_what_was_too_much() -> None:
    verdicts = []
    batch = [(Waiting("kill", "1", 10, "kill"), Path("kill"))]
    judge(batch, {}, lambda file, verdict: verdicts.append(verdict), lambda file, why: None, Child())
    (verdict,) = verdicts
    assert [violation["code"] for violation in verdict["violations"]] == ["file.too_much_memory"]
    assert "memory" in verdict["reason"]


def test_many_small_files_are_one_batch_and_a_large_one_is_its_own() -> None:
    small = [Waiting(str(number), "1", 1000, str(number)) for number in range(1000)]
    large = Waiting("large", "1", 1 << 40, "large")
    assert len(next_batch(small)) == 250
    assert next_batch([large, *small]) == [large]
    assert next_batch([*small[:3], large]) == small[:3]
    assert next_batch([]) == []
