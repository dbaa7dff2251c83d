"""Laws of the checks as assets: numbers that plot, damage as a failed check with its table, and the store's health."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from assets.health import store_health
from jobs.maintenance.checks import full_check, sampled_check
from jobs.maintenance.progress import logged
from resources import StoreResource
from smalti import Store, open_store
from smalti.store import Progress

Given = dict[str, Any]
Damage = Callable[[str], str]


def _run(instance: dg.DagsterInstance, resources: Given, *assets: Any, config: Given | None = None) -> Any:
    ops = {name: {"config": of} for name, of in (config or {}).items()}
    return dg.materialize(assets, instance=instance, resources=resources, run_config={"ops": ops}, raise_on_error=False)


def _metadata(done: Any, asset: str) -> dict[str, Any]:
    (event,) = done.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def _checks(done: Any) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    return {(one.asset_key.to_user_string(), one.check_name): one for one in done.get_asset_check_evaluations()}


def test_a_sound_store_is_checked_and_its_health_is_plotted(instance: dg.DagsterInstance, resources: Given) -> None:
    done = _run(instance, resources, sampled_check, full_check, store_health)
    assert done.success
    assert all(check.passed for check in _checks(done).values())
    full, sampled, health = (_metadata(done, name) for name in ("full_check", "sampled_check", "store_health"))
    assert (full["objects"], full["problems"], sampled["of_objects"], sampled["objects"]) == (7, 0, 7, 1)
    assert full["read_GB"] > 0
    assert health["deduplication_ratio"] > 1
    assert (health["objects"], health["names"], health["quarantined_files"], health["unreadable"]) == (7, 7, 0, 0)
    assert {
        "stored_GB",
        "logical_GB",
        "free_disk_GB",
        "manifests",
        "last_full_check",
        "last_sampled_check_days",
    } <= set(health)


def test_each_check_reads_others_and_so_many_have_read_everything(
    instance: dg.DagsterInstance, resources: Given
) -> None:
    config = {"sampled_check": {"checks": 2}}
    first, second = (_metadata(_run(instance, resources, sampled_check, config=config), "sampled_check") for _ in "ab")
    assert [first["objects"], second["objects"]] == [4, 3]
    assert "everything_read_since" not in first
    assert second["everything_read_since"]


@pytest.mark.parametrize(
    ("asset", "config"), [(full_check, {}), (sampled_check, {"sampled_check": {"checks": 1}})], ids=["full", "sampled"]
)
def test_a_byte_that_changed_fails_the_check_with_its_reason_and_the_health_of_the_store(
    instance: dg.DagsterInstance, resources: Given, damage: Damage, asset: Any, config: Given
) -> None:
    address = damage("scan/3")
    done = _run(instance, resources, asset, store_health, config=config)
    assert not done.success  # the health does not pass: whatever watches runs notices
    checks = _checks(done)
    name = asset.key.to_user_string()
    found = checks[name, "undamaged"]
    assert not found.passed
    assert address in str(found.description)
    (row,) = found.metadata["problems_found"].value.records  # type: ignore[union-attr]
    assert address.startswith(str(row.data["place"]))
    assert row.data["needed_by"] == "scan/3"
    assert _metadata(done, name)["problems"] == 1
    health = checks["store_health", "undamaged"]
    assert not health.passed
    assert "left 1 problems" in str(health.description)
    assert _metadata(done, "store_health")["objects"] == 7  # it says how the store is all the same


def test_damage_stands_until_a_check_has_found_it_mended(
    instance: dg.DagsterInstance, resources: Given, store: Store, damage: Damage, tmp_path: Path
) -> None:
    damage("scan/3")
    sound = open_store(tmp_path / "sound")
    sound.put(np.arange(5000) + 3)
    assert not _run(instance, resources, full_check, store_health).success
    assert not _run(instance, resources, sampled_check, store_health).success  # it reads other objects, and this again
    assert open_store(store.place).fsck(full=True, repair_from=sound).clean
    done = _run(instance, resources, sampled_check, store_health)
    assert done.success
    assert _metadata(done, "store_health")["quarantined_objects"] == 1


def test_a_damaged_record_fails_the_health_before_any_check_has_seen_it(
    instance: dg.DagsterInstance, resources: Given, store: Store
) -> None:
    record = next(Path(store.place).rglob(store.resolve("scan/3").removeprefix("sha256:"))) / "metadata.json"
    record.chmod(0o644)
    record.write_bytes(b"{}")
    done = _run(instance, resources, store_health)
    assert "1 names or records cannot be read" in str(_checks(done)["store_health", "undamaged"].description)
    assert not done.success


def test_a_store_that_was_never_checked_or_has_little_room_is_said(
    instance: dg.DagsterInstance, resources: Given
) -> None:
    done = _run(instance, resources, store_health, config={"store_health": {"least_free_GB": 1e9}})
    assert done.success  # these are for people to act on, in time
    said = {name: (check.passed, str(check.description)) for (_, name), check in _checks(done).items()}
    assert said["undamaged"] == (False, "no check has ended yet; launch check_everything.")
    assert said["fully_checked_lately"][0] is False
    assert said["enough_free_disk"][0] is False
    assert "make room" in said["enough_free_disk"][1]


def test_an_empty_root_is_checked(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    resources = {"store": StoreResource(place=str(tmp_path / "nowhere" / "store"))}
    done = _run(instance, resources, sampled_check, full_check, store_health)
    assert done.success
    assert _metadata(done, "store_health")["objects"] == 0


def test_a_config_that_makes_no_sense_is_refused_before_anything_is_read(
    instance: dg.DagsterInstance, resources: Given, store: Store
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="chekcs"):
        _run(instance, resources, sampled_check, config={"sampled_check": {"chekcs": 3}})
    for config in ({"checks": 0}, {"most_minutes": -1}):
        done = _run(instance, resources, sampled_check, config={"sampled_check": config})
        assert "greater than" in str(done.failure_data_for_node("sampled_check").error)
    assert store.last_checks() == {}


def test_progress_is_logged_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    log: Any = logging.getLogger("of a run")
    with caplog.at_level(logging.INFO):
        often, seldom = logged(log, "checking", every_seconds=0.0), logged(log, "checking", every_seconds=1e6)
        for n in range(3):
            often(Progress(n, 3, n * 1_000_000))
            seldom(Progress(n, 3, n * 1_000_000))
    assert len(caplog.messages) == 3
    assert caplog.messages[2].startswith("checking: 2 of 3 objects, ")
