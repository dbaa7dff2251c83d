"""A sweep is one backfill over a list of settings, whose trials share every stored input."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from assets.trials import trial_key
from resources import StoreResource
from sensors.run_manifests import run_manifests
from smalti import open_store
from smalti.tabular.settings import BertSettings

TRIALS = [{"epochs": 1, "members": 1}, {"epochs": 2, "members": 1}]
KEYS = ["epochs-1_members-1", "epochs-2_members-1"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dg.DagsterInstance, Path]]:
    """A table whose split is there, and a sweep of it that was defined."""
    root = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch, dg.instance_for_test() as instance, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("SMALTI_ROOT", str(root))
        patch.setenv("MLX_DISABLE_COMPILE", "1")
        yield instance, root


def defs_of(root: Path) -> dg.Definitions:
    from definitions import defs
    from resources import local

    assert str(root) in local()["store"].location
    alone = [dg.define_asset_job(f"only_{name}", f'key:"{name}"') for name in ("bert_trial", "sweep")]
    return dg.Definitions(
        assets=defs.assets,
        asset_checks=defs.asset_checks,
        jobs=[*(defs.jobs or ()), *alone],
        resources=local(),
        executor=defs.executor,
    )


def test_a_sweep_is_one_backfill_whose_trials_share_their_split_and_are_compared(
    swept: tuple[dg.DagsterInstance, Path],
) -> None:
    instance, root = swept
    from smalti.tabular.split import split_rows

    definitions, store = defs_of(root), open_store(root / "store")
    table = pd.DataFrame({"size": [i % 2 * 5 + i % 3 for i in range(40)], "kind": ["small", "large"] * 20})
    instance.add_dynamic_partitions("training_table", ["things"])
    split = store.put(split_rows(table, "kind").to_tree(), name="text_split/things")
    instance.report_runless_asset_event(
        dg.AssetMaterialization("text_split", partition="things", metadata={"digest": split.digest})
    )
    config = {"ops": {"request_trials": {"config": {"dataset": "things", "trials": TRIALS}}}}
    assert definitions.resolve_job_def("define_sweep").execute_in_process(config, instance=instance).success

    (backfill,) = instance.get_backfills()
    assert backfill.title == "2 trials of things"
    assert set(backfill.asset_selection or ()) == {dg.AssetKey("bert_trial"), dg.AssetKey("sweep")}
    assert instance.get_dynamic_partitions("trial") == KEYS

    trials = definitions.resolve_job_def("only_bert_trial")
    for key in KEYS:
        partition = dg.MultiPartitionKey({"dataset": "things", "trial": key})
        assert trials.execute_in_process(instance=instance, partition_key=partition).success
    compare = definitions.resolve_job_def("only_sweep")
    assert compare.execute_in_process(instance=instance, partition_key="things").success

    rows = store.get("sweep/things")["trials"]
    assert [row["trial"] for row in rows] == KEYS
    assert {store.record(row["checkpoint"]).address for row in rows} == {
        store.resolve(f"bert_trial/things/{key}") for key in KEYS
    }
    assert len(store.versions("text_split/things")) == 1
    with dg.build_sensor_context(instance=instance, resources={"store": StoreResource(place=store.place)}) as context:
        assert isinstance(run_manifests(context), dg.SensorResult)
    of_trials = [hop for hop in store.lineage("sweep/things", "upstream") if hop.step.startswith("bert_trial/")]
    assert sorted(hop.step for hop in of_trials) == sorted(f"bert_trial/things/{key}" for key in KEYS)
    assert {hop.read for hop in of_trials} >= {store.resolve("text_split/things")}


def test_a_setting_that_is_none_is_refused_before_anything_is_started(swept: tuple[dg.DagsterInstance, Path]) -> None:
    instance, root = swept
    config = {"ops": {"request_trials": {"config": {"dataset": "things", "trials": [{"learning_rat": 1.0}]}}}}
    instance.add_dynamic_partitions("training_table", ["things"])
    before = len(instance.get_backfills())
    done = (
        defs_of(root)
        .resolve_job_def("define_sweep")
        .execute_in_process(config, instance=instance, raise_on_error=False)
    )
    assert not done.success
    (failure,) = done.get_step_failure_events()
    assert "learning_rat is no setting of this BERT" in str(failure.step_failure_data.error)
    assert len(instance.get_backfills()) == before


def test_trials_of_other_settings_have_other_keys_however_long() -> None:
    every = {f.name: f.default for f in fields(BertSettings)}
    keys = [trial_key({**every, "weight_decay": decay}) for decay in (0.01, 0.02)]
    assert len(set(keys)) == 2
    assert all(len(key) <= 100 for key in keys)
    assert trial_key({"learning_rate": 0.002, "layers": 3}) == "layers-3_learning_rate-0.002"
