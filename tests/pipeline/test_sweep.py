"""A sweep is one backfill over a list of settings, whose trials share every stored input."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from smalti import open_store

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

    assert str(root) in str(local()["store"])
    return dg.Definitions(
        assets=defs.assets, asset_checks=defs.asset_checks, jobs=defs.jobs, resources=local(), executor=defs.executor
    )


def test_a_sweep_is_one_backfill_whose_trials_share_their_split_and_are_compared(
    swept: tuple[dg.DagsterInstance, Path],
) -> None:
    instance, root = swept
    from smalti.tabular.split import split_rows

    definitions, store = defs_of(root), open_store(root / "store")
    table = pd.DataFrame({"size": range(40), "kind": ["small", "large"] * 20})
    instance.add_dynamic_partitions("dataset", ["things"])
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

    trials = definitions.resolve_implicit_job_def_def_for_assets([dg.AssetKey("bert_trial")])
    assert trials is not None
    for key in KEYS:
        partition = dg.MultiPartitionKey({"dataset": "things", "trial": key})
        assert trials.execute_in_process(instance=instance, partition_key=partition).success
    compare = definitions.resolve_implicit_job_def_def_for_assets([dg.AssetKey("sweep")])
    assert compare is not None
    assert compare.execute_in_process(instance=instance, partition_key="things").success

    rows = store.get("sweep/things")["trials"]
    assert [row["trial"] for row in rows] == KEYS
    assert {store.record(row["checkpoint"]).address for row in rows} == {
        store.resolve(f"bert_trial/things/{key}") for key in KEYS
    }
    assert len(store.versions("text_split/things")) == 1


def test_a_setting_that_is_none_is_refused_before_anything_is_started(swept: tuple[dg.DagsterInstance, Path]) -> None:
    instance, root = swept
    config = {"ops": {"request_trials": {"config": {"dataset": "things", "trials": [{"learning_rat": 1.0}]}}}}
    instance.add_dynamic_partitions("dataset", ["things"])
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
