"""The store that assets are given: made on a fresh machine, found afterwards, never made where one was before."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from jobs.maintenance.checks import full_check
from resources import StoreResource
from sensors.arrivals import evaluate
from sensors.run_manifests import run_manifests
from smalti import open_store
from smalti.errors import NotFound
from smalti.ingest.source import Folder


def test_the_first_look_makes_an_empty_store_and_the_next_finds_it(tmp_path: Path) -> None:
    resource = StoreResource(place=str(tmp_path / "root" / "store"))
    made = resource.open().id
    assert made == resource.open().id == open_store(tmp_path / "root" / "store").id
    assert not list(resource.open().names())


def test_a_fresh_machine_has_nothing_to_complain_of(tmp_path: Path) -> None:
    store = StoreResource(place=str(tmp_path / "store"))
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        with dg.build_sensor_context(instance=instance, resources={"store": store}) as context:
            assert isinstance(run_manifests(context), dg.SkipReason)
        done = dg.materialize([full_check], instance=instance, resources={"store": store})
    assert done.success
    assert [check.passed for check in done.get_asset_check_evaluations()] == [True]


def test_where_a_store_was_and_is_not_there_nothing_is_made_in_its_place(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    raw = tmp_path / "raw"
    raw.mkdir()
    store = StoreResource(place=str(mount / "store"))
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        assert dg.materialize([full_check], instance=instance, resources={"store": store}).success
        instance.report_runless_asset_event(dg.AssetMaterialization("scan", metadata={"digest": "sha256:" + 64 * "0"}))
        mount.rename(tmp_path / "away")
        done = dg.materialize([full_check], instance=instance, resources={"store": store}, raise_on_error=False)
        assert not done.success
        with (
            dg.build_sensor_context(instance=instance) as context,
            pytest.raises(NotFound, match="check that its disk is mounted"),
        ):
            evaluate(context, Folder(raw), store.place)
        assert not mount.exists()
        (tmp_path / "away").rename(mount)
        assert dg.materialize([full_check], instance=instance, resources={"store": store}).success
