"""Laws of collection and retention as assets: a dry run changes nothing; what they say is what the store did."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import dagster as dg

from jobs.maintenance.collection import garbage_collection, retention
from smalti import Store
from smalti.store.format.sealed import seal, unseal
from smalti.store.maintenance.gc import DAY_SECONDS
from smalti.store.names import key_of

Given = dict[str, Any]


def _run(instance: dg.DagsterInstance, resources: Given, asset: Any, **config: Any) -> tuple[bool, Given]:
    name = asset.key.to_user_string()
    run_config = {"ops": {name: {"config": config}}}
    done = dg.materialize([asset], instance=instance, resources=resources, run_config=run_config, raise_on_error=False)
    made = done.asset_materializations_for_node(name)
    return done.success, {key: value.value for key, value in made[0].metadata.items()} if made else {}


def _files(store: Store) -> dict[str, int]:
    """Return all that a collection could change, the condemned lists too; the index and staging are caches."""
    place = Path(store.place)
    found = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
    return {name: path.stat().st_size for name, path in found.items() if not name.startswith(("index", "tmp"))}


def test_by_itself_it_only_says_what_would_go_and_changes_nothing(
    instance: dg.DagsterInstance, resources: Given, store: Store
) -> None:
    store.forget("scan/1")
    before = _files(store)
    success, said = _run(instance, resources, garbage_collection)
    assert success
    assert (said["objects"], said["needed"], said["young_objects"], said["freed_GB"]) == (7, 6, 1, 0)
    assert said["unneeded"].records[0].data["state"] == "young"
    assert _files(store) == before


def test_a_collection_says_what_it_condemned_and_a_later_one_what_it_freed(
    instance: dg.DagsterInstance, resources: Given, store: Store
) -> None:
    folder = next(Path(store.place).rglob(store.resolve("scan/1").removeprefix("sha256:")))
    store.forget("scan/1")
    os.utime(folder, (time.time() - 3 * DAY_SECONDS,) * 2)
    said = _run(instance, resources, garbage_collection, dry_run=False)[1]
    assert (said["condemned_objects"], said["removed_objects"], said["freed_GB"]) == (1, 0, 0)
    (listed,) = (Path(store.place) / "condemned").iterdir()
    listed.chmod(0o644)
    listed.write_bytes(seal({**unseal(listed.read_bytes(), ""), "at": time.time() - 2 * DAY_SECONDS}))
    said = _run(instance, resources, garbage_collection, dry_run=False)[1]
    assert (said["condemned_objects"], said["removed_objects"]) == (0, 1)
    assert said["freed_GB"] > 0
    assert not folder.exists()
    assert store.fsck(full=True).clean


def test_where_something_needed_is_missing_the_run_fails_and_nothing_goes(
    instance: dg.DagsterInstance, resources: Given, store: Store
) -> None:
    record = next(Path(store.place).rglob(store.resolve("scan/3").removeprefix("sha256:"))) / "metadata.json"
    record.chmod(0o644)
    record.write_bytes(b"{}")
    store.forget("scan/1")
    before = _files(store)
    success, said = _run(instance, resources, garbage_collection, dry_run=False)
    assert (success, said) == (False, {})
    assert _files(store) == before


def test_retention_is_a_dry_run_about_nothing_until_a_policy_is_given(
    instance: dg.DagsterInstance, resources: Given, store: Store
) -> None:
    for n in range(4):
        store.put(f"version {n}", name="note")
    before = _files(store)
    assert _run(instance, resources, retention)[1]["versions"] == 0
    said = _run(instance, resources, retention, names=["note"], keep_last=1, older_than_days=0)[1]
    assert said["dry_run"] is True
    assert _files(store) == before


def test_a_policy_takes_old_versions_away_and_never_the_current_or_a_pinned_one(
    instance: dg.DagsterInstance, resources: Given, store: Store
) -> None:
    refs = [store.put(f"version {n}", name="note") for n in range(4)]
    store.pin(refs[1])
    _make_older(store, "note")
    policy = {"dry_run": False, "names": ["note", "scan/*"], "keep_last": 1, "older_than_days": 1}
    success, said = _run(instance, resources, retention, **policy)
    assert success
    assert (said["versions"], said["names"]) == (1, 1)
    assert said["taken_away"].records[0].data["held_by_pin"] == "True"
    assert [one.address for one in store.versions("note")] == [ref.digest for ref in refs[1:]]


def _make_older(store: Store, name: str) -> None:
    for version in store.versions(name):
        path = Path(store.place) / key_of(name, version.version)
        path.chmod(0o644)
        path.write_bytes(seal(asdict(replace(version, at=f"2020-01-0{version.version}T00:00:00+00:00"))))
