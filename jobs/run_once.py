"""``make run``: what the daemon does with files that arrive, once, in this process, until nothing is left to do.

python -m jobs.run_once                 simulates a scan if there is none, then ingests and reconstructs what is new
python -m jobs.run_once --scan FILE     puts FILE (and its card) into data/raw first
"""

import argparse
import os
import shutil
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
from rich.console import Console
from rich.table import Table

from assets.arrival import STILL_VALIDATING, ledger_path
from resources import local
from resources.io_manager import DIGEST
from smalti.errors import Refused, SmaltiError
from smalti.ingest.keys import file_key
from smalti.ingest.ledger import Ledger
from smalti.ingest.sandbox import Sandbox
from smalti.ingest.source import SETTLED_AFTER_S
from smalti.scans import card_path
from smalti.settings import Settings

SIMULATED = "photographs"  # the scan that is simulated when none is given
RUN_KEY_TAG, SENSOR_TAG = (
    "dagster/run_key",
    "dagster/sensor_name",
)  # the daemon's own, so that neither repeats the other
SENSORS = ("raw_files", "ingested_scans")


@dataclass
class Outcome:
    """What a round of the sensors led to: whether anything was found, and a sentence for each run that failed."""

    found: bool = False
    failures: list[str] = field(default_factory=list)


def bring(scan: Path, raw: Path) -> Path:
    """Copy a scan and its card into the raw folder, never over a different file.

    A file that is there already is touched: it counts as dropped again, so that what failed is tried again.

    Raises:
        NotFound: there is no such file.
        Refused: it does not keep its contract, and nothing was copied; or another file of that name is there already.
    """
    with Sandbox() as sandbox:
        report = sandbox.validate(scan).document
    if not report["accepted"]:
        raise Refused(report["reason"])
    target = raw / scan.name
    for source, copy in ((scan, target), (card_path(scan), card_path(target))):
        if not source.is_file() or (copy.exists() and copy.samefile(source)):
            continue
        if copy.exists() and copy.read_bytes() != source.read_bytes():
            raise Refused(f"{copy} is there already with other content; rename {source} or move the old one away.")
        if not copy.exists():
            partial = copy.with_name(copy.name + ".part")
            shutil.copy2(source, partial)
            partial.rename(copy)
    os.utime(target)
    return target


def simulate(raw: Path) -> Path:
    """Simulate the scan of two photographs into the raw folder, unless it is there."""
    import yaml

    from smalti import simulation

    target = raw / f"{SIMULATED}.npz"
    if not target.exists():
        scan = simulation.simulate_scan(SIMULATED)
        card_path(target).write_text(yaml.safe_dump(simulation.card_fields(scan), sort_keys=False, allow_unicode=True))
        simulation.write_raw_npz(scan, target)
    return target


def run_sensors(instance: dg.DagsterInstance, console: Console) -> Outcome:
    """Evaluate the sensors as long as they find anything and execute what they request.

    A run that fails is told of and passed over: it keeps nothing else back, here or in a later call.
    """
    outcome = Outcome()
    while True:
        again = [_evaluate(name, instance, console, outcome) for name in SENSORS]
        if not any(again):
            return outcome


def _evaluate(name: str, instance: dg.DagsterInstance, console: Console, outcome: Outcome) -> bool:
    """Evaluate a sensor, move its cursor on and execute what it requests; tell whether to evaluate it again."""
    from definitions import defs

    sensor = next(sensor for sensor in defs.sensors or () if sensor.name == name)
    cursor_file = Path(instance.root_directory) / f"{name}.cursor"
    cursor = cursor_file.read_text() if cursor_file.is_file() else None
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=local()) as context:
        found = sensor(context)
    if not isinstance(found, dg.SensorResult):
        return isinstance(found, dg.SkipReason) and (found.skip_message or "").startswith(STILL_VALIDATING)
    outcome.found = outcome.found or bool(found.run_requests)
    for request in found.run_requests or ():
        _execute(sensor, request, instance, console, outcome)
    cursor_file.write_text(found.cursor or "")
    return True


def _execute(
    sensor: dg.SensorDefinition,
    request: dg.RunRequest,
    instance: dg.DagsterInstance,
    console: Console,
    outcome: Outcome,
) -> None:
    from definitions import defs

    job = request.job_name or sensor.job_name
    what = request.partition_key or job
    tags = {RUN_KEY_TAG: str(request.run_key), SENSOR_TAG: sensor.name}
    done = dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.SUCCESS])
    if instance.get_runs_count(done):
        console.print(f"{what}: done before with the same bytes", highlight=False)
        return
    start = time.monotonic()
    run = defs.resolve_job_def(job).execute_in_process(
        run_config={"loggers": {"console": {}}, **request.run_config},
        instance=instance,
        partition_key=request.partition_key,
        tags=tags,
        raise_on_error=False,
    )
    for event in run.get_step_failure_events() if not run.success else ():
        cause = event.step_failure_data.error
        while cause and cause.cause:
            cause = cause.cause
        if cause and cause.cls_name == dg.DagsterExecutionInterruptedError.__name__:
            raise KeyboardInterrupt
        outcome.failures.append(f"{what} stopped at {event.step_key}: {cause.message.strip() if cause else ''}")
        console.print(outcome.failures[-1], style="red", highlight=False)
    if run.success:
        console.print(f"{what}: finished in {time.monotonic() - start:.0f} s", highlight=False)


def summary(instance: dg.DagsterInstance, key: str) -> Table:
    """Return what there is of one scan: each asset, its digest, and what the step that made it added."""
    table = Table("asset", "digest", "size", "added", "of note", title=key, title_justify="left")
    for name in (
        "raw_scan",
        "scan",
        "scan_split",
        "ptycho_checkpoint",
        "reconstruction",
        "resolution",
        "ptychodus_product",
    ):
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(name), asset_partitions=[key])
        records = instance.fetch_materializations(wanted, limit=1).records
        if not records or not records[0].asset_materialization:
            continue
        metadata = {k: v.value for k, v in records[0].asset_materialization.metadata.items()}
        notes = [
            f"{label} {metadata[field]:.4g}"
            for field, label in (
                ("r_factor", "R"),
                ("phase_psnr_dB", "phase PSNR dB"),
                ("phase_ssim", "SSIM"),
                ("frc_phase_half_bit", "FRC half-bit"),
            )
            if field in metadata
        ]
        sizes = [f"{int(str(metadata[field])) / 1e6:.2f} MB" for field in ("nbytes", "new_bytes")]
        table.add_row(name, str(metadata[DIGEST]).removeprefix("sha256:")[:12], *sizes, ", ".join(notes))
    return table


def main() -> int:
    """Run the main job; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="make run", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--scan", type=Path, help="a raw scan file")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=dg.PreviewWarning)
    console = Console()
    settings = Settings()
    settings.raw.mkdir(parents=True, exist_ok=True)
    try:
        scan = bring(arguments.scan, settings.raw) if arguments.scan else simulate(settings.raw)
    except SmaltiError as error:
        print(error, file=sys.stderr)
        return 1
    while time.time() - scan.stat().st_mtime <= SETTLED_AFTER_S + 0.5:  # the sensor waits for files to hold still
        time.sleep(0.2)
    before = _stored_nbytes(settings.store)
    with dg.DagsterInstance.get() as instance:
        try:
            outcome = run_sensors(instance, console)
        except SmaltiError as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted; what was finished is stored, and the same command goes on from there", file=sys.stderr)
            return 130
        if not outcome.found:
            console.print("nothing new has arrived since the last run")
        key = _key(instance, scan)
        console.print(summary(instance, key))
    console.print(f"newly stored: {(_stored_nbytes(settings.store) - before) / 1e6:.2f} MB", highlight=False)
    console.print(f"product:      {settings.products / f'{key}.h5'}", highlight=False, soft_wrap=True)
    console.print("look:         make ui, then http://127.0.0.1:3000/asset-groups", highlight=False)
    console.print(
        f"              .venv/bin/smalti ls;  .venv/bin/smalti show reconstruction/{key}",
        highlight=False,
        soft_wrap=True,
    )
    for failure in outcome.failures:
        print(failure, file=sys.stderr)
    return 1 if outcome.failures else 0


def _key(instance: dg.DagsterInstance, scan: Path) -> str:
    return Ledger(ledger_path(instance)).key_of(scan.name) or file_key(scan.name)


def _stored_nbytes(store: Path) -> int:
    """Return the bytes of every file in the store."""
    return sum(path.stat().st_size for path in store.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
