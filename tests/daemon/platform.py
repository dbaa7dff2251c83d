"""A root with a Dagster home: what people drop there, and what in the end there is of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import numpy as np
import yaml
from dagster._core.storage.tags import AUTOMATION_CONDITION_TAG, PARTITION_NAME_TAG, SENSOR_NAME_TAG

from smalti import Store, open_store
from smalti.ingest.quarantine import Quarantine
from smalti.products import read_product
from tests.daemon.daemon import PROJECT

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_SIDE, _PATTERNS = 16, 9
_CARD = {
    "source": "computed by the tests",
    "version": "1",
    "licence": "CC0-1.0",
    "reading": {
        "diffraction": {"quantity": "amplitude", "dc": "centre", "stack_axis": "first"},
        "positions": {"xcoords": "xcoords", "ycoords": "ycoords", "unit": "px"},
    },
    "physics": {"far_field": True, "object_pixel_size_m": {"value": 2e-8}},
}


@dataclass
class Platform:
    """A fresh root.

    Attributes:
        levels: key -> the number that its scan was last dropped with.
    """

    root: Path
    postgres_url: str | None = None
    levels: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.raw, self.home):
            folder.mkdir(parents=True)
        configured = yaml.safe_load((PROJECT / "deploy" / "local" / "dagster.yaml").read_text())
        if self.postgres_url:
            configured["storage"] = {"postgres": {"postgres_url": self.postgres_url}}
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(configured))
        with self.instance() as instance:  # two processes that make the same SQLite files at once disturb each other
            instance.get_runs(limit=1)
            instance.all_asset_keys()
            instance.all_instigator_state()

    @property
    def raw(self) -> Path:
        """Where files are dropped."""
        return self.root / "data" / "raw"

    @property
    def home(self) -> Path:
        """The Dagster home."""
        return self.root / ".dagster"

    @property
    def store(self) -> Store:
        """The store of the root."""
        return open_store(self.root / "store")

    def instance(self) -> dg.DagsterInstance:
        """Return Dagster's records, to be used as a context."""
        return dg.DagsterInstance.from_config(str(self.home))

    def drop(self, key: str, level: float) -> None:
        """Drop a scan that is made of one number, card first, as a careful person does."""
        self.levels[key] = level
        card = self.raw / f"{key}.npz.card.yaml"
        if not card.exists():
            _replace(card, yaml.safe_dump({"name": key, **_CARD}).encode())
        at = np.arange(_PATTERNS)
        arrays = {"diffraction": _patterns(level), "xcoords": 4.0 * (at % 3), "ycoords": 4.0 * (at // 3)}
        partial = self.raw / f".{key}.partial"
        with partial.open("wb") as file:
            np.savez(file, **arrays)
        partial.rename(self.raw / f"{key}.npz")

    def drop_broken(self, key: str) -> None:
        """Drop a scan without positions."""
        partial = self.raw / f".{key}.partial"
        with partial.open("wb") as file:
            np.savez(file, diffraction=_patterns(1.0 + len(key)))
        partial.rename(self.raw / f"{key}.npz")

    def drop_again(self, key: str) -> None:
        """Drop the bytes that are there already once more."""
        _replace(self.raw / f"{key}.npz", (self.raw / f"{key}.npz").read_bytes())

    def products(self) -> dict[str, complex]:
        """Return of each product file the one number that its object is made of."""
        folder = self.root / "outputs" / "ptychodus_products"
        return {path.stem: complex(np.asarray(read_product(path).object).ravel()[0]) for path in folder.glob("*.h5")}

    def quarantined(self) -> list[str]:
        """Return the keys in quarantine, a key twice where it was rejected twice."""
        return sorted(entry.key for entry in Quarantine(self.root / "data" / "quarantine").entries())


def recorded_at(instance: dg.DagsterInstance, asset: str) -> dict[str, float]:
    """Return when each partition of an asset was materialized last, s since 1970."""
    page = instance.fetch_materializations(dg.AssetKey(asset), limit=1000)
    found = {str(record.partition_key): record.timestamp for record in reversed(page.records)}
    assert not page.has_more
    return found


@dataclass(frozen=True)
class Records:
    """What Dagster has recorded: runs and materializations."""

    runs: tuple[dg.DagsterRun, ...]
    materialized: dict[tuple[str, str], tuple[str, ...]]

    @classmethod
    def of(cls, instance: dg.DagsterInstance, assets: Iterable[str]) -> Records:
        """Read all runs, and of these assets the data versions of each partition, oldest first."""
        found: dict[tuple[str, str], list[str]] = {}
        for asset in assets:
            page = instance.fetch_materializations(dg.AssetKey(asset), limit=1000)
            assert not page.has_more
            for record in reversed(page.records):
                made = record.asset_materialization
                assert made is not None
                assert made.tags is not None
                found.setdefault((asset, str(made.partition)), []).append(made.tags["dagster/data_version"])
        runs = tuple(instance.get_runs())
        return cls(runs, {key: tuple(versions) for key, versions in found.items()})

    @property
    def unfinished(self) -> list[dg.DagsterRun]:
        """Runs that wait or go on."""
        return [run for run in self.runs if run.status in UNFINISHED]

    def lost(self) -> list[str]:
        """Return what failed for good: runs that did not succeed, of which no retry succeeded either."""
        saved = {run.root_run_id or run.run_id for run in self.runs if run.status is dg.DagsterRunStatus.SUCCESS}
        return [
            f"{run.job_name} {run.tags.get(PARTITION_NAME_TAG, '')} {run.status.value} {run.run_id}"
            for run in self.runs
            if run.status not in UNFINISHED and (run.root_run_id or run.run_id) not in saved
        ]

    def asked(self, *jobs: str) -> Counter[str]:
        """Count the runs of these jobs by partition; a retry is no new run."""
        return Counter(
            run.tags.get(PARTITION_NAME_TAG, "")
            for run in self.runs
            if run.job_name in jobs and run.root_run_id is None
        )

    def by_conditions(self) -> Counter[str]:
        """Count the runs that automation conditions asked for by partition; a retry is no new run."""
        return Counter(
            run.tags.get(PARTITION_NAME_TAG, "")
            for run in self.runs
            if AUTOMATION_CONDITION_TAG in run.tags and run.root_run_id is None
        )

    def story(self) -> str:
        """Return the runs in the order in which they were asked for, a line each."""
        lines = [
            f"{run.run_id[:8]} {run.job_name} {run.tags.get(PARTITION_NAME_TAG, '')} {run.status.value}"
            f" by {run.tags.get(SENSOR_NAME_TAG, 'hand')}"
            f"{f' again after {run.parent_run_id[:8]}' if run.parent_run_id else ''}"
            f" {', '.join(sorted(key.to_user_string() for key in run.asset_selection or ()))}"
            for run in reversed(self.runs)
        ]
        return "\n".join(lines)

    def retries(self) -> list[str]:
        """Return the jobs and partitions of the runs that were tried again."""
        return [f"{run.job_name} {run.tags.get(PARTITION_NAME_TAG, '')}" for run in self.runs if run.root_run_id]


def _patterns(level: float) -> np.ndarray:
    row, column = np.mgrid[:_SIDE, :_SIDE] - _SIDE // 2
    patterns = np.stack([np.exp(-(row**2 + column**2) / (8 + i)) for i in range(_PATTERNS)])
    return (level * patterns).astype(np.float32)


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
