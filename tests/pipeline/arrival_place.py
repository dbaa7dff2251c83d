"""A root where files arrive and its own instance of Dagster: dropped, looked at by the real sensor, and read back."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np

from assets.arrival import latest
from assets.raw import RAW
from assets.rejected import nothing_waits_to_be_mended, rejected_files
from jobs.ingest import keys_in
from resources import SettingsResource, StoreResource
from sensors.arrivals import is_busy
from sensors.raw_files import raw_files
from smalti.ingest.quarantine import Quarantine
from smalti.ingest.source import Folder


@dataclass
class Place:
    """A root, its Dagster instance, and the cursor of the sensor."""

    root: Path
    instance: dg.DagsterInstance
    cursor: str | None = None
    asked: list[str] = field(default_factory=list)
    requests: list[dg.RunRequest] = field(default_factory=list)

    @property
    def raw(self) -> Path:
        return self.root / "data" / "raw"

    @property
    def quarantine(self) -> Quarantine:
        return Quarantine(self.root / "data" / "quarantine")

    def drop(self, name: str, **changes: Any) -> Path:
        """Write a small scan that keeps its contract, but for what is changed; None leaves an array out."""
        row, column = np.mgrid[:16, :16] - 8
        counts = np.rint(900 * np.exp(-(row**2 + column**2) / 8))
        patterns = np.sqrt(np.stack([counts + i % 2 for i in range(6)])).astype("f4")
        arrays = {"diffraction": patterns, "xcoords": np.arange(6.0), "ycoords": np.arange(6.0), **changes}
        with (self.raw / name).open("wb") as file:
            np.savez(file, **{key: array for key, array in arrays.items() if array is not None})
        os.utime(self.raw / name, (0, 0))
        return self.raw / name

    def tick(self) -> dg.SensorResult | dg.SkipReason:
        """Evaluate the sensor until nothing is being validated any more."""
        resources = {"store": StoreResource(place=str(self.root / "store")), "settings": SettingsResource()}
        while True:
            with dg.build_sensor_context(self.instance, resources=resources, cursor=self.cursor) as context:
                found = raw_files(context)
            if isinstance(found, dg.SensorResult):
                self.cursor = found.cursor
                for request in found.run_requests or ():
                    job = "" if request.job_name == "ingest" else f"{request.job_name} "
                    self.asked += keys_in([request]) or [f"{job}{request.partition_key}"]
                self.requests += found.run_requests or ()
            if not is_busy(self.instance, Folder(self.raw)):
                return found

    def launch(self) -> list[str]:
        """Start a run for each request, as the daemon does, but execute none; return their ids."""
        runs = [
            dg.DagsterRun(
                job_name=str(request.job_name), run_config=request.run_config, status=dg.DagsterRunStatus.STARTED
            )
            for request in self.requests
        ]
        self.requests.clear()
        return [self.instance.add_run(run).run_id for run in runs]

    def fail(self, run_id: str) -> None:
        """Let a run that was launched fail."""
        run = self.instance.get_run_by_id(run_id)
        assert run
        self.instance.report_run_failed(run)

    def launch_partition(self, key: str, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED) -> None:
        """Start a run about one partition, as a sensor further on asks for it."""
        self.instance.add_run(dg.DagsterRun(job_name="reconstruct", tags={"dagster/partition": key}, status=status))

    def record(self, asset: str, key: str, version: str, **inputs: str) -> None:
        """Record that an asset was made, as a run would, from these versions of others."""
        tags = {"dagster/data_version": version, "dagster/data_version_is_user_provided": "true"}
        tags |= {f"dagster/input_data_version/{name}": digest for name, digest in inputs.items()}
        self.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=key, tags=tags))

    def raw_version(self, key: str) -> str:
        """Return the data version of a raw scan."""
        return latest(self.instance, RAW["scan"].key, [key])[key].data_version

    def observed(self) -> list[tuple[str | None, str | None]]:
        """Return partition and sentence of every observation of a raw scan, oldest first."""
        records = self.instance.fetch_observations(RAW["scan"].key, limit=100).records
        return [(r.partition_key, r.asset_observation.description) for r in reversed(records) if r.asset_observation]

    def rejected(self) -> list[dg.AssetMaterialization]:
        """Return every table of rejected files, oldest first."""
        records = self.instance.fetch_materializations(rejected_files.key, limit=100).records
        return [record.asset_materialization for record in reversed(records) if record.asset_materialization]

    def checks(self) -> list[dg.AssetCheckEvaluation]:
        """Return every check on the rejected files, oldest first."""
        key = nothing_waits_to_be_mended.check_key
        found = self.instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
        return [record.evaluation for record in reversed(found) if record.evaluation]

    def partitions(self) -> list[str]:
        """Return the keys of all scans in Dagster."""
        return sorted(self.instance.get_dynamic_partitions("scan"))

    def arrived(self) -> list[str | None]:
        """Return the partition of every materialization, oldest first."""
        records = self.instance.fetch_materializations(RAW["scan"].key, limit=1000).records
        return [record.partition_key for record in reversed(records)]
