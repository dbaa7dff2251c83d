"""The ledger of arrivals: nothing is validated twice, nothing is missed, nothing is told twice."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.errors import Unavailable
from smalti.ingest import ledger as ledgers
from smalti.ingest.ledger import Found, Ledger, Waiting

RAW = "data/raw"


# What the version before wrote: a file, the same again, one rejected, and one that was not reported yet.
OF_RUNS = """
CREATE TABLE ledger (id TEXT NOT NULL);
CREATE TABLE files (source TEXT NOT NULL, name BLOB NOT NULL, seen TEXT NOT NULL, seen_at REAL NOT NULL,
    validated TEXT, state TEXT NOT NULL DEFAULT 'there', told_gone INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (source, name)) WITHOUT ROWID;
CREATE TABLE keys (folded TEXT PRIMARY KEY, key TEXT NOT NULL, name BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE arrivals (number INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, name BLOB NOT NULL,
    identity TEXT NOT NULL, key TEXT NOT NULL, content TEXT NOT NULL, accepted INTEGER NOT NULL, report TEXT NOT NULL,
    unmoved INTEGER NOT NULL DEFAULT 0, place TEXT NOT NULL DEFAULT '', run TEXT, reported INTEGER NOT NULL DEFAULT 0);
INSERT INTO ledger VALUES ('0123456789ab');
INSERT INTO files VALUES ('data/raw', CAST('a.npz' AS BLOB), '1', 0, '1', 'there', 0);
INSERT INTO arrivals VALUES (1, 'data/raw', CAST('a.npz' AS BLOB), '1', 'a', 'one', 1, '{}', 0, '', 'run', 1);
INSERT INTO arrivals VALUES
    (2, 'data/raw', CAST('a.npz' AS BLOB), '2', 'a', 'one', 1, '{"dropped_again": true}', 0, '', 'run', 1);
INSERT INTO arrivals VALUES (3, 'data/raw', CAST('b.npz' AS BLOB), '1', 'b', 'two', 0, '{}', 0, 'there', 'run', 1);
INSERT INTO arrivals VALUES (4, 'data/raw', CAST('c.npz' AS BLOB), '1', 'c', 'three', 1, '{}', 0, '', NULL, 0);
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "arrivals.sqlite")
    yield opened
    opened.close()


def found(name: str, identity: str = "1", *, settled: bool = True) -> Found:
    return Found(name, identity, 10, settled)


def look(ledger: Ledger, *files: Found) -> list[Waiting]:
    return ledger.look(RAW, files, lambda key: None, 100)


def report(content: str = "c", *, accepted: bool = True) -> dict[str, Any]:
    return {"content": content, "accepted": accepted, "contract": "scan/1", "key": "k"}


def test_a_file_is_waiting_until_it_is_validated_and_then_not_again(ledger: Ledger) -> None:
    (waiting,) = look(ledger, found("a.npz"))
    assert look(ledger, found("a.npz")) == [waiting]
    arrival = ledger.validated(RAW, waiting, report())
    assert (arrival.number, arrival.key, arrival.accepted) == (1, "a", True)
    assert look(ledger, found("a.npz")) == []


def test_a_late_file_with_an_earlier_name_is_not_missed(ledger: Ledger) -> None:
    for waiting in look(ledger, found("b.npz")):
        ledger.validated(RAW, waiting, report())
    assert [w.name for w in look(ledger, found("a.npz"), found("b.npz"))] == ["a.npz"]


def test_a_changed_file_is_new_and_the_same_bytes_again_are_said_to_be(ledger: Ledger) -> None:
    (waiting,) = look(ledger, found("a.npz"))
    ledger.reported([ledger.validated(RAW, waiting, report("one"))])
    (touched,) = look(ledger, found("a.npz", "2"))
    again = ledger.validated(RAW, touched, report("one"))
    assert again.dropped_again
    ledger.reported(ledger.claim(RAW, 10))
    assert [arrival.number for arrival in ledger.reported_after(1, RAW, 10)] == [again.number]
    (changed,) = look(ledger, found("a.npz", "3"))
    assert "dropped_again" not in ledger.validated(RAW, changed, report("two")).report
    (back,) = look(ledger, found("a.npz", "4"))
    assert "dropped_again" not in ledger.validated(RAW, back, report("one")).report


def test_a_file_whose_clock_is_ahead_settles_when_it_was_seen_unchanged_for_a_while(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not look(ledger, found("a.npz", settled=False))
    later = time.time() + 10
    monkeypatch.setattr(ledgers.time, "time", lambda: later)
    assert not look(ledger, found("a.npz", "grown", settled=False))
    monkeypatch.setattr(ledgers.time, "time", lambda: later + 3)
    assert look(ledger, found("a.npz", "grown", settled=False))


def test_a_file_that_vanishes_is_told_of_once_and_comes_back_in_silence(ledger: Ledger) -> None:
    (waiting,) = look(ledger, found("a.npz"))
    ledger.validated(RAW, waiting, report())
    assert look(ledger) == []
    assert ledger.gone(RAW, 10) == [("a.npz", "a")]
    ledger.told_gone(RAW, ["a.npz"])
    assert look(ledger) == []
    assert ledger.gone(RAW, 10) == []
    assert look(ledger, found("a.npz")) == []
    assert look(ledger) == []
    assert ledger.gone(RAW, 10) == [("a.npz", "a")]


def test_a_file_in_quarantine_is_not_gone_and_is_validated_when_it_is_back(ledger: Ledger) -> None:
    (waiting,) = look(ledger, found("a.npz"))
    arrival = ledger.validated(RAW, waiting, report(accepted=False))
    assert arrival
    assert ledger.unmoved(RAW) == [arrival]
    assert arrival.on_its_way
    assert ledger.claim(RAW, 10) == []  # nobody hears of it before it is where the report says
    ledger.moved(arrival, "quarantine/a", quarantined=True)
    assert look(ledger) == []
    assert ledger.gone(RAW, 10) == []
    (back,) = look(ledger, found("a.npz"))
    assert back.again
    assert ledger.validated(RAW, back, report(accepted=False))


def test_what_was_claimed_is_claimed_again_until_it_is_reported(ledger: Ledger) -> None:
    for waiting in look(ledger, found("a.npz"), found("b.npz"), found("c.npz")):
        ledger.validated(RAW, waiting, report(waiting.name))
    first = ledger.claim(RAW, 2)
    assert [arrival.name for arrival in first] == ["a.npz", "b.npz"]
    assert ledger.claim(RAW, 2) == first
    assert ledger.reported_after(0, RAW, 10) == []
    ledger.reported(first)
    assert [arrival.name for arrival in ledger.claim(RAW, 2)] == ["c.npz"]
    assert [arrival.name for arrival in ledger.reported_after(0, RAW, 10)] == ["a.npz", "b.npz"]
    assert [arrival.name for arrival in ledger.reported_after(0, RAW, 1)] == ["a.npz"]


def test_a_cursor_passes_nothing_that_is_still_to_be_reported(ledger: Ledger) -> None:
    first, second = (
        ledger.validated(RAW, waiting, report(waiting.name)) for waiting in look(ledger, found("a.npz"), found("b.npz"))
    )
    ledger.reported([second])  # by another process, out of turn
    assert ledger.reported_after(0, RAW, 10) == []
    ledger.reported([first])
    assert ledger.reported_after(0, RAW, 10) == [first, second]


def test_one_claim_has_no_key_twice(ledger: Ledger) -> None:
    (waiting,) = look(ledger, found("a.npz"))
    ledger.validated(RAW, waiting, report("one"))
    (waiting,) = look(ledger, found("a.npz", "2"))
    ledger.validated(RAW, waiting, report("two"))
    assert [arrival.number for arrival in ledger.claim(RAW, 10)] == [1]


def test_names_that_are_no_text_and_names_that_differ_by_case_are_kept_apart(ledger: Ledger) -> None:
    names = ["scan.npz", "Scan.npz", "scan.npz.bz2", "\udcff.npz", "b\n.npz"]
    waiting = look(ledger, *map(found, names))
    assert sorted(w.name for w in waiting) == sorted(names)
    assert len({w.key.casefold() for w in waiting}) == len(names)
    assert [w.key for w in look(ledger, *map(found, names))] == [w.key for w in waiting]
    for file in waiting:
        arrival = ledger.validated(RAW, file, report(file.name.encode("utf-8", "replace").hex()))
        assert arrival
        assert arrival.name == file.name


def test_a_key_that_the_store_knows_for_another_file_is_not_given_again(ledger: Ledger) -> None:
    (waiting,) = ledger.look(RAW, [found("scan.npz.gz")], {"scan": "scan.npz"}.get, 10)
    assert waiting.key.startswith("scan-")
    (waiting,) = ledger.look(RAW, [found("scan.npz")], {"scan": "scan.npz"}.get, 10)
    assert waiting.key == "scan"


def test_a_ledger_goes_on_where_it_ended(tmp_path: Path) -> None:
    first = Ledger(tmp_path / "l.sqlite")
    (waiting,) = look(first, found("a.npz"))
    first.validated(RAW, waiting, report())
    second = Ledger(tmp_path / "l.sqlite")
    assert second.id == first.id
    assert look(second, found("a.npz")) == []
    assert second.first_with("c") == first.after(0)[0]
    assert second.first_with("d") is None
    assert second.latest_of("a") == first.after(0)[0]
    assert (second.is_there(RAW, "a.npz"), second.is_there(RAW, "b.npz")) == (True, False)


def test_a_ledger_of_the_first_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    first = Ledger(path)
    (waiting,) = look(first, found("a.npz"))
    arrival = first.validated(RAW, waiting, report())
    first.close()
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE files RENAME COLUMN validated TO judged")
        db.execute("ALTER TABLE arrivals RENAME COLUMN report TO verdict")
    second = Ledger(path)
    assert second.after(0) == [arrival]
    assert look(second, found("a.npz")) == []


def test_a_file_that_is_no_ledger_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "l.sqlite").write_text("something else, and rather long, so that it cannot be a header at all" * 20)
    with pytest.raises(Unavailable, match="ledger of arrivals"):
        Ledger(tmp_path / "l.sqlite")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("123")), max_size=4), max_size=8))
def test_whatever_comes_and_goes_each_version_seen_is_validated_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, looks: list[list[tuple[str, str]]]
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "l.sqlite")
    seen = []
    last: dict[str, str] = {}
    for shown in looks:
        files = dict(shown)
        for waiting in look(ledger, *(found(name, version) for name, version in files.items())):
            ledger.validated(RAW, waiting, report(waiting.name + waiting.identity))
        for name, version in sorted(files.items()):
            if last.get(name) != version:
                seen.append((name, version))
            last[name] = version
    assert [(arrival.name, arrival.identity) for arrival in ledger.after(0)] == seen
    ledger.close()


def recorded(ledger: Ledger, name: str, content: str, identity: str = "1") -> None:
    """Let a file arrive and be recorded as its own partition."""
    ledger.validated(RAW, Waiting(name, identity, 10, name.partition(".")[0]), report(content))
    ledger.reported([replace(arrival, partition=arrival.key, recorded=True) for arrival in ledger.claim(RAW, 10)])


def test_the_partitions_that_have_the_same_bytes_are_those_whose_file_lies_there_with_them(ledger: Ledger) -> None:
    look(ledger, found("a.npz"), found("b.npz"), found("c.npz"))
    recorded(ledger, "a.npz", "one")
    recorded(ledger, "b.npz", "one")
    ledger.validated(RAW, Waiting("c.npz", "1", 10, "c"), report("one"))
    ledger.reported([replace(arrival, partition="a") for arrival in ledger.claim(RAW, 10)])
    assert ledger.with_bytes("one") == ["a", "b"]  # c has no partition of its own
    assert ledger.with_bytes("two") == []
    recorded(ledger, "a.npz", "two", "2")
    assert (ledger.with_bytes("one"), ledger.with_bytes("two")) == (["b"], ["a"])
    look(ledger, found("a.npz", "2"), found("c.npz"))
    assert ledger.with_bytes("one") == []


def test_what_is_rejected_and_cannot_be_moved_is_listed_until_it_goes_or_changes(ledger: Ledger) -> None:
    for waiting in look(ledger, found("link.npz"), found("moved.npz")):
        arrival = ledger.validated(RAW, waiting, report(waiting.name, accepted=False))
        ledger.moved(arrival, "somewhere", quarantined=waiting.name == "moved.npz")
    assert [arrival.name for arrival in ledger.rejected_in_place()] == ["link.npz"]
    assert ledger.numbers_rejected_in_place() == [1]
    look(ledger)
    assert ledger.rejected_in_place() == []


def test_what_is_ignored_is_kept_by_source_the_first_hundred_with_the_reason(ledger: Ledger) -> None:
    ledger.ignore(RAW, {f"{number:03}.txt": "a note" for number in range(150)})
    ledger.ignore("s3://elsewhere", {})
    (told,) = ledger.ignored().values()
    assert (told.count, len(told.first), told.first[0]) == (150, 100, ("000.txt", "a note"))
    ledger.ignore(RAW, {})
    assert ledger.ignored() == {}


def test_a_ledger_that_reported_under_runs_is_read_as_one_that_recorded_partitions(tmp_path: Path) -> None:
    path = tmp_path / "arrivals.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(OF_RUNS)
    ledger = Ledger(path)
    assert [(a.key, a.partition, a.recorded, a.batch) for a in ledger.after(0)] == [
        ("a", "a", True, "run"),
        ("a", "a", False, "run"),
        ("b", None, False, "run"),
        ("c", None, False, None),
    ]
    assert ledger.with_bytes("one") == ["a"]
    assert [arrival.key for arrival in ledger.claim(RAW, 9)] == ["c"]
    ledger.close()
    Ledger(path).close()  # once is enough
