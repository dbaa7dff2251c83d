"""Laws of the config of runs: every field is explained, and what is out of range stops a run before its first step."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.reconstructions import Loss, ReconstructionConfig, SearchProbe
from definitions import defs
from jobs.training import BertConfig, TrainingConfig
from resources import StoreIOManager, StoreResource
from resources.run_config import validate_run_config
from smalti.errors import Refused


def steps_with_config() -> Iterator[tuple[str, Any]]:
    for node in defs.resolve_asset_graph().assets_defs:
        if node.is_executable:
            fields = getattr(node.op.config_schema.config_type, "fields", None) or {}
            yield from ((f"{node.op.name}.{name}", field) for name, field in fields.items())


def test_every_field_of_every_asset_is_explained_in_the_launchpad() -> None:
    fields = dict(steps_with_config())
    assert {"reconstruction.loss", "ptycho_checkpoint.epochs", "bert_checkpoint.hidden_size"} <= set(fields)
    assert [name for name, field in fields.items() if not field.description] == []


def test_every_field_has_a_default_that_the_launchpad_shows() -> None:
    without = [name for name, field in steps_with_config() if not field.is_required and not field.default_provided]
    assert without == []


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"ops": {"reconstruction": {"config": {"epochs": 0}}}}, "the config of reconstruction: epochs = 0: "),
        ({"ops": {"scan_split": {"config": {"validation_fraction": 1.0}}}}, "less than 1"),
        ({"ops": {"bert_checkpoint": {"config": {"hidden_size": 30, "heads": 4}}}}, "4 heads do not divide"),
        ({"ops": {"request_trials": {"config": {"dataset": "iris", "trials": []}}}}, "trials = []"),
    ],
)
def test_a_value_out_of_its_range_is_refused_by_step_and_field(config: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused) as refused:
        validate_run_config(config)
    assert told in str(refused.value)


def test_the_defaults_are_allowed() -> None:
    steps = ("reconstruction", "ptycho_checkpoint", "bert_checkpoint", "scan_split", "text_split", "cross_validation")
    validate_run_config({"ops": {step: {"config": {}} for step in steps}})


def test_a_run_with_such_a_value_stops_before_its_first_step(tmp_path: Path) -> None:
    ran: list[str] = []

    @dg.asset
    def early(store: StoreResource) -> None:
        ran.append("early")

    @dg.asset(deps=[early])
    def reconstruction(config: ReconstructionConfig) -> None:
        ran.append("reconstruction")

    store = StoreResource(place=str(tmp_path / "store"))
    with pytest.raises(Exception, match="resource_fn") as failed:
        dg.materialize(
            [early, reconstruction],
            resources={"io_manager": StoreIOManager(store=store), "store": store},
            run_config={"ops": {"reconstruction": {"config": {"epochs": 0}}}},
        )
    assert "the config of reconstruction: epochs = 0" in str(failed.value.__cause__ or failed.value)
    assert ran == []


def test_a_loss_that_there_is_not_is_refused_when_the_run_is_launched() -> None:
    job = defs.resolve_job_def("reconstruct")
    with pytest.raises(dg.DagsterInvalidConfigError, match="not in enum type Loss got bogus"):
        dg.validate_run_config(job, {"ops": {"reconstruction": {"config": {"loss": "bogus"}}}})


def test_the_choices_are_those_of_the_library_which_only_a_child_process_may_import() -> None:
    script = (
        "import json, typing; from dataclasses import fields; from smalti.ptycho.losses import LossName; "
        "from smalti.ptycho.solve.settings import SolverSettings; "
        "print(json.dumps([typing.get_args(LossName), {f.name: f.default for f in fields(SolverSettings)}]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    losses, defaults = json.loads(done.stdout)
    assert [loss.value for loss in Loss] == losses
    assert ReconstructionConfig().epochs == defaults["epochs"]
    assert set(ReconstructionConfig().settings(0)) <= set(defaults)


def test_the_solver_is_asked_for_as_many_modes_as_the_probe_guess_has() -> None:
    config = ReconstructionConfig(refine_positions_from=3, search_probe=SearchProbe.never)
    assert config.settings(5) == {
        "epochs": 60,
        "seed": 0,
        "loss": "absolute",
        "probe_modes": 5,
        "refine_positions_from": 3,
        "search_probe": False,
    }
    assert ReconstructionConfig().settings(0)["refine_positions_from"] is None


def test_the_fields_of_training_are_those_that_are_asked_for() -> None:
    assert set(TrainingConfig().model_dump()) == {"epochs", "seed", "gridsize", "supervised"}
    assert BertConfig().settings()["predict_with"] == "last"
