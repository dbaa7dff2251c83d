"""Laws of descriptions that say anything at all: a plan is made, and what cannot be understood is a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import open_store
from smalti.migration.layouts import datamate, mlflow_files, mltrack_v1, mltrack_v2
from smalti.migration.plan import Plan
from smalti.migration.recording import record
from smalti.migration.sources.source import SourceFile
from smalti.tracking.work_file import Look

_RUN = "a" * 32
_WORDS = [
    "..",
    "/etc",
    "x",
    "s3://b/k/x_20250301_120000_00000000.npy",
    "2025-01-01",
    "99999999999999999999",
    "production",
    "done",
    "DATASET",
    "file:///etc",
    "runs/by_model/m/r",
    "0000000000000000000000000000000000000000000000000000000000000000",
]
_KEYS = [
    "run_id",
    "inputs",
    "outputs",
    "timestamp",
    "s3_location",
    "hash",
    "run_type",
    "project",
    "tags",
    "metrics",
    "config",
    "storage_locations",
    "created_at",
    "name",
    "status",
    "start_time",
    "end_time",
    "experiment_id",
    "artifact_uri",
    "type",
    "lifecycle_stage",
    "source_id",
    "source_type",
    "digest",
    "spec",
    "run_name",
]
_PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_INNER = st.recursive(
    _PLAIN | st.sampled_from(["", _RUN, *_WORDS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=8,
)
_ANYTHING = st.dictionaries(st.sampled_from(_KEYS), _INNER, max_size=10) | _INNER


class Texts:
    """A source of texts."""

    place, left = "memory", ()

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self.files = {path: SourceFile(path, len(text), Look(len(text), 0, 0, 0)) for path, text in texts.items()}

    def read(self, path: str) -> bytes:
        return self._texts[path].encode()

    @contextmanager
    def local(self, path: str) -> Iterator[Path]:
        raise AssertionError(f"a plan fetches no data, and {path} was")
        yield Path()


def check(plan: Plan, runs: int) -> None:
    """Make sure that every run is planned, failed or left, and that what is planned can be written down."""
    assert len(plan.runs) + len(plan.failed) + len(plan.left) >= runs
    for run in plan.runs:
        record(open_store("memory:"), run.run, {}, {}, run.facts)
    for failure in plan.failed:
        assert failure.why


@settings(max_examples=150, deadline=None)
@given(manifest=_ANYTHING, side=_ANYTHING)
def test_of_mltrack_v1(manifest: Any, side: Any) -> None:
    run = "m/experiments/1/runs/r"
    texts = {f"{run}/inputs/x_20259999_120000_00000000.npy": "", f"{run}/manifest.json": json.dumps(manifest)}
    check(mltrack_v1.plan(Texts({**texts, f"{run}/inputs/x_metadata.json": json.dumps(side)}), ""), 1)


@settings(max_examples=150, deadline=None)
@given(manifest=_ANYTHING, about=_ANYTHING)
def test_of_mltrack_v2(manifest: Any, about: Any) -> None:
    data = f"data/00/{'0' * 64}"
    texts = {f"{data}/data.npy": "", f"{data}/metadata.json": json.dumps(about)}
    plan = mltrack_v2.plan(Texts({**texts, "manifests/r.json": json.dumps(manifest), "runs/all/r/a/b": ""}), "")
    check(plan, 1)
    assert len(plan.values) == 1


@settings(max_examples=200, deadline=None)
@given(run=_ANYTHING, experiment=_ANYTHING, used=_ANYTHING, data=_ANYTHING, metric=st.text(max_size=20))
def test_of_mlflow(run: Any, experiment: Any, used: Any, data: Any, metric: str) -> None:
    place = f"0/{_RUN}"
    metas = {f"{place}/meta.yaml": run, "0/meta.yaml": experiment, f"{place}/inputs/i/meta.yaml": used}
    metas |= {"0/datasets/x/meta.yaml": data, f"{place}/outputs/m/meta.yaml": used, "0/models/m/meta.yaml": data}
    texts = {path: yaml.safe_dump(meta) for path, meta in metas.items()}
    check(mlflow_files.plan(Texts({**texts, f"{place}/metrics/loss": metric, f"{place}/tags/a": "b"}), ""), 1)


@settings(max_examples=100, deadline=None)
@given(meta=_ANYTHING)
def test_of_datamate(meta: Any) -> None:
    plan = datamate.plan(Texts({"exp/_meta.yaml": yaml.safe_dump(meta), "exp/x.h5": "", "exp/s/y.csv": ""}), "")
    assert {value.name for value in plan.values} == {"memory/exp", "memory/exp/s"}
    for value in plan.values:
        if value.facts:
            record(open_store("memory:"), "r", {}, {}, value.facts)
