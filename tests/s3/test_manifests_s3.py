"""Runs in a bucket are found in the user's tables: own writes at once, others' after a look, "nothing" never unseen."""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections.abc import Callable, MutableMapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import smalti
from smalti.cli import app
from smalti.errors import Refused, Unavailable
from smalti.store import Hop, Store, Use
from smalti.store.backends.s3.backend import S3Backend
from smalti.store.format.sealed import seal
from smalti.testing.conformance_manifests import ManifestLaws
from tests.s3.conftest import store_over

Machine = Callable[..., Store]


class TestLawsInABucket(ManifestLaws):
    """Every law of manifests, where each question is asked of tables that a look has just brought up to date."""

    @pytest.fixture
    def backend(self, backend: S3Backend) -> S3Backend:
        return backend

    @pytest.fixture
    def stored(self, stored: MutableMapping[str, bytes]) -> MutableMapping[str, bytes]:
        return stored

    @pytest.fixture
    def store(self, backend: S3Backend) -> Store:
        store = store_over(backend, look_again_seconds=0)
        store.init()
        return store


@pytest.fixture
def machine(wire, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Open the store as on a machine of a name, with a cache of its own; long is what it is content with."""

    def opened(name: str = "ours", **how: Any) -> Store:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        store = store_over(S3Backend.at(url, wire.endpoint), **how)
        store.init()
        return store

    return opened


def requests(wire, act: Callable[[], object]) -> list[str]:
    """Return the methods of the requests that an act makes."""
    wire.seen.clear()
    act()
    return [exchange.method for exchange in wire.seen]


def test_what_is_known_is_answered_without_a_request(machine: Machine, wire) -> None:
    store = machine()
    raw, scan = store.put(np.arange(5)), store.put(np.arange(6))
    store.add_manifest("ingest", inputs={"raw": raw}, outputs={"scan": scan})
    assert store.runs_of(raw) == [Use("ingest", "read")]
    store.add_manifest("look", inputs={"scan": scan}, parent="ingest")
    store.update_manifest("look", status="finished")

    def ask() -> None:
        assert store.runs_of(scan) == [Use("ingest", "wrote"), Use("look", "read")]
        assert [hop.run for hop in store.lineage(raw, "downstream")] == ["ingest", "look"]
        assert store.children_of("ingest") == ["look"]
        assert machine().runs_of(raw.digest) == [Use("ingest", "read")]

    store.release("ingest")
    assert set(requests(wire, ask)) <= {"PUT", "GET", "HEAD"}, "opening the store tries the key probe"
    assert requests(wire, lambda: store.runs_of(scan)) == []
    assert requests(wire, lambda: store.lineage(raw, "downstream")) == []
    assert store.runs_known_as_of() <= datetime.now(UTC)


def test_what_others_record_is_found_after_a_look_and_only_that_is_read(machine: Machine, wire) -> None:
    ours, theirs = machine("ours"), machine("theirs")
    ref = ours.put(np.arange(5))
    for number in range(3):
        ours.add_manifest(f"run_{number}", inputs={"x": ref})
    assert len(ours.runs_of(ref)) == 3
    theirs.add_manifest("theirs", inputs={"x": ref})
    theirs.update_manifest("run_0", status="finished")
    assert len(ours.runs_of(ref)) == 3, "within a minute it need not be known"
    before = ours.runs_known_as_of()
    wire.seen.clear()
    assert ours.runs_known_as_of(look=True) > before
    assert {exchange.method for exchange in wire.seen} == {"GET"}, "to look writes nothing"
    read = sorted(exchange.path.rsplit("/", 1)[-1] for exchange in wire.seen if ".json" in exchange.path)
    assert read == ["run_0.json", "theirs.json"]
    assert len(ours.runs_of(ref)) == 4
    assert [manifest.run for manifest in ours.runs(status="finished")] == ["run_0"]


def test_nothing_is_never_said_of_what_others_have_recorded(machine: Machine) -> None:
    ours, theirs = machine("ours"), machine("theirs")
    ref = theirs.put(np.arange(5))
    assert ours.runs_of(ref) == []
    theirs.add_manifest("theirs", inputs={"x": ref}, parent="other")
    assert ours.children_of("other") == ["theirs"]
    assert ours.runs_of(ref) == [Use("theirs", "read")]


def test_after_a_while_it_looks_by_itself_and_a_clock_set_back_counts_as_one(machine: Machine, tmp_path: Path) -> None:
    ours, theirs = machine("ours"), machine("theirs")
    ref = ours.put(np.arange(5))
    ours.add_manifest("ours", inputs={"x": ref})
    (index,) = (tmp_path / "ours").rglob("index.sqlite")
    for turn, looked_at in enumerate([datetime.now(UTC) - timedelta(minutes=2), datetime.now(UTC) + timedelta(days=1)]):
        assert len(ours.runs_of(ref)) == 1 + turn
        theirs.add_manifest(f"theirs_{turn}", inputs={"x": ref})
        with closing(sqlite3.connect(index)) as db, db:
            (noted,) = db.execute("SELECT as_of FROM manifests").fetchone()
            db.execute("UPDATE manifests SET as_of = ?", (f"{noted.split(', ')[0]}, {looked_at.timestamp()}",))
        assert len(ours.runs_of(ref)) == 2 + turn


def test_whatever_befalls_the_tables_runs_are_found(machine: Machine, tmp_path: Path) -> None:
    ours = machine("ours")
    ref = ours.put(np.arange(5))
    ours.add_manifest("run", inputs={"x": ref})
    assert ours.runs_of(ref) == [Use("run", "read")]
    (index,) = (tmp_path / "ours").rglob("index.sqlite")
    for content in (None, b"no database at all" * 1000):
        for path in index.parent.glob("index.sqlite*"):
            path.unlink()
        if content:
            index.write_bytes(content)
        assert ours.runs_of(ref) == [Use("run", "read")]
        assert machine("ours").runs_of(ref) == [Use("run", "read")]


def test_where_no_cache_may_be_kept_it_is_in_memory(url: str, wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    store = store_over(S3Backend.at(url, wire.endpoint))
    ref = store.put(np.arange(5))
    store.add_manifest("run", inputs={"x": ref})
    assert store.runs_of(ref) == [Use("run", "read")]
    assert requests(wire, lambda: store.runs_of(ref)) == []


def test_a_collection_knows_what_others_recorded_a_moment_ago(machine: Machine) -> None:
    ours, theirs = machine("ours"), machine("theirs")
    ref = ours.put(np.arange(5))
    ours.add_manifest("ours", inputs={"x": ref})
    assert ours.runs_of(ref)
    ours.release("ours")
    theirs.add_manifest("theirs", inputs={"x": ref})
    assert ours.gc().roots == {ref.digest: "the run theirs"}
    theirs._documents.create("manifests/new.json", seal({"format": 3, "run": "new"}))
    with pytest.raises(Refused, match="format 3"):
        ours.gc(dry_run=False, grace_seconds=0)


def test_a_server_that_does_not_answer_is_one_sentence_and_nothing_wrong_is_said(machine: Machine, wire) -> None:
    ours = machine("ours")
    ref = ours.put(np.arange(5))
    ours.add_manifest("ours", inputs={"x": ref})
    assert ours.runs_of(ref)
    wire.harm("GET", "list-type", times=1e9, before=wire.answer(403, "AccessDenied"))
    assert ours.runs_of(ref) == [Use("ours", "read")], "this is known"
    with pytest.raises(Unavailable, match="could not list"):
        ours.runs_of("sha256:" + "0" * 64)


def test_two_machines_know_the_whole_chain_of_which_each_made_half(machine: Machine, tmp_path: Path) -> None:
    theirs, bucket = smalti.open_store(tmp_path / "laptop"), machine("ours")
    raw, scan = theirs.put(np.arange(5)), theirs.put(np.arange(6))
    theirs.add_manifest("ingest", inputs={"raw": raw}, outputs={"scan": scan})
    image = bucket.put(np.arange(7))
    bucket.put(np.arange(6))
    bucket.add_manifest("solve", inputs={"scan": scan}, outputs={"image": image})
    whole = [Hop(1, "solve", "", scan.digest, image.digest), Hop(2, "ingest", "", raw.digest, scan.digest)]
    assert bucket.lineage(image, "upstream") == whole[:1]
    theirs.push(bucket)
    assert bucket.lineage(image, "upstream") == whole, "what a push brings is known at once"
    theirs.pull(machine("third"))
    assert theirs.lineage(image, "upstream") == whole


def test_the_command_says_how_old_its_knowledge_is_and_looks_again_if_told_to(
    machine: Machine, url: str, wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALTI_S3_ENDPOINT", wire.endpoint)
    ours, theirs = machine("ours"), machine("theirs")
    ref = ours.put(np.arange(5), name="data")
    ours.add_manifest("ours", inputs={"x": ref})
    assert ours.runs_of(ref)
    theirs.add_manifest("theirs", inputs={"x": ref})
    (index,) = (tmp_path / "ours").rglob("index.sqlite")
    with closing(sqlite3.connect(index)) as db, db:
        (noted,) = db.execute("SELECT as_of FROM manifests").fetchone()
        version, at = noted.split(", ")
        db.execute("UPDATE manifests SET as_of = ?", (f"{version}, {float(at) - 20}",))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "ours"))

    def find(*more: str) -> Result:
        wire.seen.clear()
        return CliRunner().invoke(app, ["runs", "find", "--data", "data", "--store", url, *more])

    done = find()
    assert len(done.stdout.splitlines()) == 1
    assert re.fullmatch(r"what other machines recorded is known as of \d+ s ago; --fresh looks now\n", done.stderr)
    assert not [e for e in wire.seen if "list-type" in e.path and "manifests" in e.path], "what is known takes no look"
    assert len(find("--fresh").stdout.splitlines()) == 2


def test_a_store_opened_by_its_url_is_indexed(
    url: str, server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SMALTI_S3_ENDPOINT", server.endpoint)
    store = smalti.open_store(url)
    ref = store.put(np.arange(5))
    store.add_manifest("run", inputs={"x": ref})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.runs_of(ref) == [Use("run", "read")]
    assert list((tmp_path / "cache").rglob("index.sqlite"))
