"""Sweeps: the settings of trials, and the trials of a table compared."""

import hashlib
import re
from typing import Any

import dagster as dg

from assets.code_versions import code_version
from assets.partitions import TRAINING_TABLES
from assets.previews import curve, records
from resources import StoreResource
from resources.made_from import also_read
from smalti import Store
from smalti.errors import Refused
from smalti.tabular.report.previews import metric_shown
from smalti.tabular.report.thumbnails import best_curves
from smalti.tabular.settings import BertSettings

_LONGEST = 80
_NOT_IN_A_KEY = re.compile(r"[^A-Za-z0-9._-]+")


def trial_key(settings: dict[str, Any]) -> str:
    """Return the partition of a trial: its settings in words, e.g. ``layers-3_learning_rate-0.002``.

    Words that are too long for a key, or hold what a key may not, get digits that tell them from others.

    Raises:
        Refused: a setting that is none, or a value out of its range.
    """
    BertSettings.from_request(settings)
    words = "_".join(f"{name}-{settings[name]}" for name in sorted(settings)) or "defaults"
    key = _NOT_IN_A_KEY.sub("-", words)[:_LONGEST]
    return key if key == words else f"{key}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"


def put_settings(store: Store, settings: dict[str, Any]) -> str:
    """Store the settings of a trial and return its partition."""
    key = trial_key(settings)
    store.put(settings, name=f"trial/{key}")
    return key


def settings_of(store: Store, partition: dg.MultiPartitionKey) -> dict[str, Any]:
    """Return the settings of the trial of a partition.

    Raises:
        NotFound: no sweep has defined it.
    """
    return dict(store.get(f"trial/{partition.keys_by_dimension['trial']}"))


@dg.asset(
    partitions_def=TRAINING_TABLES,
    deps=[dg.AssetKey("bert_trial")],
    group_name="tables",
    kinds={"pandas"},
    code_version=code_version("smalti.tabular.report"),
    description="The trials of a table compared: what each was trained with and what it reached.",
)
def sweep(context: dg.AssetExecutionContext, store: StoreResource) -> dict[str, Any]:
    values = store.open()
    prefix = f"bert_trial/{context.partition_key}/"
    names = sorted({named.name for named in values.names() if named.name.startswith(prefix)})
    if not names:
        raise Refused(f"no trial of {context.partition_key} is there; launch the job define_sweep.")
    states = {name.removeprefix(prefix): values.open(name).attrs["state"] for name in names}
    histories = {trial: state["history"] for trial, state in states.items()}
    rows = [
        {"trial": trial, **history[-1], "checkpoint": values.ref(prefix + trial).digest}
        for trial, history in histories.items()
    ]
    shown = metric_shown(rows[0])
    also_read(context, {prefix + row["trial"]: row["checkpoint"] for row in rows})
    context.add_output_metadata(
        {"trials": records(rows), "comparison": curve(best_curves(histories, shown), f"{shown} by epoch", "epoch")}
    )
    return {"trials": rows}
