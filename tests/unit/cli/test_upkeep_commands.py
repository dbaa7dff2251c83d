"""Laws of ``smalti fsck --sample`` and ``smalti retain``: they say and do what the store's own methods do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from smalti import Store, open_store
from smalti.cli import app
from smalti.errors import Refused


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(tmp_path / "store")
    for n in range(5):
        store.put(np.arange(100) + n, name=f"scan/{n}")
    return store


def _run(store: Store, *arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--store", store.place])


def test_a_sample_reads_a_part_and_says_when_the_round_has_ended(store: Store) -> None:
    first = _run(store, "fsck", "--sample", "2")
    assert first.exit_code == 0
    assert "a sample of 5 objects; the first round goes on\n3 objects, " in first.output
    second = _run(store, "fsck", "--sample", "2")
    assert "everything was read or written since 20" in second.output
    said = json.loads(_run(store, "fsck", "--sample", "2", "--json").stdout)
    assert (said["objects"], said["of_objects"], said["clean"]) == (3, 5, True)


def test_damage_in_the_sample_ends_with_1_and_names_it(store: Store) -> None:
    record = next(Path(store.place).rglob(store.resolve("scan/3").removeprefix("sha256:"))) / "metadata.json"
    record.chmod(0o644)
    record.write_bytes(b"{}")
    done = _run(store, "fsck", "--sample", "1")
    assert done.exit_code == 1
    assert store.resolve("scan/3") in done.output
    assert "Needed by: scan/3." in done.output


def test_a_bound_without_a_sample_is_refused(store: Store) -> None:
    refused = _run(store, "fsck", "--minutes", "3").exception
    assert isinstance(refused, Refused)
    assert "give --sample 30 too" in str(refused)


def test_retain_says_what_would_go_and_takes_it_when_told_to(store: Store) -> None:
    for n in range(3):
        store.put(f"version {n}", name="note")
    policy = ("retain", "note", "scan/*", "--keep-last", "1", "--older-than", "0")
    # Versions of this very second are not older than 0 days yet; so they are made older.
    _make_older(store, "note")
    said = _run(store, *policy)
    assert said.output == ("note: versions before 3 (2), 1 stay\n2 versions of 1 names would be taken away\n")
    assert len(store.versions("note")) == 3
    told = json.loads(_run(store, *policy, "--no-dry-run", "--json").stdout)
    assert told["names"][0]["versions"] == 2
    assert len(store.versions("note")) == 1


def _make_older(store: Store, name: str) -> None:
    from dataclasses import asdict, replace

    from smalti.store.format.sealed import seal
    from smalti.store.names import key_of

    for version in store.versions(name):
        path = Path(store.place) / key_of(name, version.version)
        path.chmod(0o644)
        path.write_bytes(seal(asdict(replace(version, at=f"2020-01-0{version.version}T00:00:00+00:00"))))
