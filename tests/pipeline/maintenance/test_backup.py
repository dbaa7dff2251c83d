"""Laws of backup and restore drill as assets: what was pushed comes back, and what does not is a failed check."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from jobs.maintenance.backup import backup, restore_drill
from smalti import Store, open_store
from smalti.products import read_product

Given = dict[str, Any]


def _run(instance: dg.DagsterInstance, resources: Given, *assets: Any) -> Any:
    return dg.materialize(assets, instance=instance, resources=resources, raise_on_error=False)


def _metadata(done: Any, asset: str) -> Given:
    (event,) = done.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


@pytest.fixture
def backup_place(tmp_path: Path, store: Store, product_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the backup goes; the store has a product."""
    store.put(read_product(product_file), name="ptychodus_product/star")
    monkeypatch.setenv("SMALTI_BACKUP_URL", str(tmp_path / "backup"))
    return tmp_path / "backup"


def test_what_was_backed_up_comes_back_and_the_drill_says_what_from_when_and_how_long(
    instance: dg.DagsterInstance, resources: Given, store: Store, backup_place: Path
) -> None:
    done = _run(instance, resources, backup, restore_drill)
    assert done.success
    (check,) = done.get_asset_check_evaluations()
    assert check.passed
    pushed, said = _metadata(done, "backup"), _metadata(done, "restore_drill")
    assert pushed["sent_objects"] == pushed["objects"] == open_store(backup_place).stats().objects
    assert (said["values"], said["failed"], said["backup_names"]) == (2, 0, 8)
    rows = [row.data for row in said["restored"].records]
    assert "ptychodus_product/star" in {row["name"] for row in rows}
    assert {row["result"] for row in rows} == {"restored; equal to what stands here"}
    assert all(row["from"] and float(row["seconds"]) > 0 for row in rows)
    assert all(store.resolve(row["name"]).startswith(row["digest"]) for row in rows)
    assert _metadata(_run(instance, resources, backup), "backup")["sent_objects"] == 0


def _changed(folder: Path) -> None:
    for path in folder.iterdir():
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.chmod(0o644)
        path.write_bytes(content)


def _removed(folder: Path) -> None:
    folder.parent.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("spoil", [_changed, _removed])
def test_a_backup_with_a_changed_byte_or_a_lost_object_fails_the_check_and_says_which(
    instance: dg.DagsterInstance, resources: Given, store: Store, backup_place: Path, spoil: Callable[[Path], None]
) -> None:
    assert _run(instance, resources, backup).success
    address = store.record("ptychodus_product/star").children["object"]
    spoil(next((backup_place / "data").rglob(address.removeprefix("sha256:"))))
    done = _run(instance, resources, restore_drill)  # there is one product, so that it is always tried
    (check,) = done.get_asset_check_evaluations()
    assert not check.passed
    assert "ptychodus_product/star: " in str(check.description)
    assert address in str(check.description)
    assert _metadata(done, "restore_drill")["failed"] == 1


def test_without_a_backup_the_run_fails_with_the_way_to_configure_one(
    instance: dg.DagsterInstance, resources: Given, store: Store
) -> None:
    done = _run(instance, resources, restore_drill)
    assert not done.success
    assert "set SMALTI_BACKUP_URL to a folder on another disk" in str(done.failure_data_for_node("restore_drill").error)
