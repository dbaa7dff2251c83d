"""The MLflow run that is active, if any: recorded here, and tagged there, so that each is found from the other.

MLflow is never imported: whoever has a run active has done so.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smalti.digest import PREFIX
from smalti.runs.circumstances.code_version import without_credentials

_MOST_TAGS = 90  # MLflow takes 100 in one call


@dataclass(frozen=True, slots=True)
class MlflowRun:
    """An active run of MLflow.

    Attributes:
        links: as a manifest keeps them: ``mlflow``, a URL (or the folder of the run), and ``mlflow_run``,
            ``mlflow_experiment``, ``mlflow_tracking_uri``.
    """

    links: Mapping[str, str]


def active_mlflow_run() -> MlflowRun | None:
    """Return the run of MLflow that is active in this thread; None where there is none."""
    mlflow: Any = sys.modules.get("mlflow")
    if mlflow is None or not hasattr(mlflow, "active_run"):
        return None
    try:
        if (run := mlflow.active_run()) is None:
            return None
        uri = without_credentials(str(mlflow.get_tracking_uri()))
        info = run.info
        web = uri.startswith(("http://", "https://"))
        link = f"{uri.rstrip('/')}/#/experiments/{info.experiment_id}/runs/{info.run_id}" if web else info.artifact_uri
        return MlflowRun(
            {
                "mlflow": without_credentials(str(link).removesuffix("/artifacts")),
                "mlflow_run": info.run_id,
                "mlflow_experiment": str(info.experiment_id),
                "mlflow_tracking_uri": uri,
            }
        )
    except Exception as error:  # of another library: whatever it raises, our run goes on
        _warn(error)
        return None


def tag_with_run(links: Mapping[str, str], run_id: str, place: str) -> None:
    """Tag a run of MLflow with one of ours: ``smalti.run.<run>`` = the store; ``smalti.run`` = the latest.

    Args:
        links: of our manifest; where they lead to no run of MLflow, nothing is done.
        place: of our store.
    """
    _tag(links, {"smalti.run": run_id, f"smalti.run.{run_id}": place})


def tag_with_data(links: Mapping[str, str], used: Mapping[str, str]) -> None:
    """Tag a run of MLflow with data: ``smalti.data.<hash>`` = what the run called it, such as ``inputs/training_data``.

    ``mlflow.search_runs(filter_string="tags.`smalti.data.<hash>` LIKE '%'")`` finds it.

    Args:
        links: of our manifest; where they lead to no run of MLflow, nothing is done.
        used: what each is called -> its address.
    """
    tags = {f"smalti.data.{address.removeprefix(PREFIX)}": called for called, address in used.items()}
    _tag(links, dict(list(tags.items())[:_MOST_TAGS]))


def _tag(links: Mapping[str, str], tags: Mapping[str, str]) -> None:
    mlflow: Any = sys.modules.get("mlflow")
    if mlflow is None or not tags or "mlflow_run" not in links:
        return
    try:
        if without_credentials(str(mlflow.get_tracking_uri())) != links["mlflow_tracking_uri"]:
            return  # it is known to another server
        entity = mlflow.entities.RunTag
        mlflow.MlflowClient().log_batch(links["mlflow_run"], tags=[entity(key, value) for key, value in tags.items()])
    except Exception as error:
        _warn(error)


def _warn(error: Exception) -> None:
    warnings.warn(
        f"the run is recorded, but MLflow could not be told: {type(error).__name__}: {error}",
        RuntimeWarning,
        stacklevel=3,
    )
