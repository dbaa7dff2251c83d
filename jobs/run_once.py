"""``make run``: what the daemon does with files that arrive, once, in this process, until nothing is left to do.

python -m jobs.run_once                 simulates a scan if there is none, then ingests and reconstructs what is new
python -m jobs.run_once --scan FILE     puts FILE (and its card) into data/raw first
python -m jobs.run_once --table FILE    puts a training table there, and the test table beside it if there is one
"""

import argparse
import os
import shutil
import sys
import time
import warnings
from pathlib import Path

import dagster as dg
from rich.console import Console
from rich.table import Table

from assets.arrival import ledger_path
from jobs.rounds import run_sensors
from resources.run_manifests import DIGEST
from smalti.errors import NotFound, Refused, SmaltiError
from smalti.ingest.keys import file_key
from smalti.ingest.ledger import Ledger
from smalti.ingest.sandbox import Sandbox
from smalti.ingest.source import SETTLED_AFTER_S
from smalti.scans import card_path
from smalti.scans.shipped import card_for
from smalti.settings import Settings
from smalti.tabular.pairs import matching_test_file

SIMULATED = "photographs"  # the scan that is simulated when none is given
SCAN_ASSETS = (
    "raw_scan",
    "scan",
    "scan_split",
    "ptycho_checkpoint",
    "reconstruction",
    "resolution",
    "ptychodus_product",
)
TABLE_ASSETS = ("raw_table", "table", "text_split", "bert_checkpoint", "submission", "cross_validation")
OF_NOTE = {
    "r_factor": "R",
    "phase_psnr_dB": "phase PSNR dB",
    "phase_ssim": "SSIM",
    "frc_phase_half_bit": "FRC half-bit",
    "dagster/row_count": "rows",
    "accuracy": "accuracy",
    "rmse": "RMSE",
    "rmse_log": "RMSE of the logarithm",
}


def bring(file: Path, raw: Path) -> Path:
    """Copy a file and its card into the raw folder, never over a different file.

    A file that is there already is touched: it counts as dropped again, so that what failed is tried again.

    Raises:
        NotFound: there is no such file.
        Refused: it does not keep its contract, and nothing was copied; or another file of that name is there already.
    """
    with Sandbox() as sandbox:
        report = sandbox.validate(file).document
    if not report["accepted"]:
        raise Refused(report["reason"])
    target = raw / file.name
    for source, copy in ((file, target), (card_path(file), card_path(target))):
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


def test_table_of(table: Path) -> Path | None:
    """Return the test table that the card of a training table names, else the one beside it by name, if any.

    Raises:
        NotFound: the card names a file that is not there.
    """
    card = card_for(table)
    if card is None or card.table.test is None:
        return matching_test_file(table)
    named = table.with_name(card.table.test)
    if not named.is_file():
        raise NotFound(f"{named} is not there, but the card of {table.name} calls it the test table; correct the card.")
    return named


def summary(instance: dg.DagsterInstance, key: str, assets: tuple[str, ...]) -> Table:
    """Return what there is of one partition: each asset, its digest, and what the step that made it added."""
    table = Table("asset", "digest", "size", "added", "of note", title=key, title_justify="left")
    for name in assets:
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(name), asset_partitions=[key])
        records = instance.fetch_materializations(wanted, limit=1).records
        if not records or not records[0].asset_materialization:
            continue
        metadata = {k: v.value for k, v in records[0].asset_materialization.metadata.items()}
        notes = [f"{label} {metadata[field]:.4g}" for field, label in OF_NOTE.items() if field in metadata]
        sizes = [f"{int(str(metadata[field])) / 1e6:.2f} MB" for field in ("nbytes", "new_bytes")]
        table.add_row(name, str(metadata[DIGEST]).removeprefix("sha256:")[:12], *sizes, ", ".join(notes))
    return table


def main() -> int:
    """Run the main job; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="make run", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--scan", type=Path, help="a raw scan file")
    what.add_argument("--table", type=Path, help="a table to train on")
    arguments = parser.parse_args()
    for of_dagster_itself in (dg.PreviewWarning, dg.BetaWarning):
        warnings.filterwarnings("ignore", category=of_dagster_itself)
    console = Console()
    settings = Settings()
    settings.raw.mkdir(parents=True, exist_ok=True)
    try:
        arrived = _arrive(arguments.scan, arguments.table, settings.raw)
    except SmaltiError as error:
        print(error, file=sys.stderr)
        return 1
    while time.time() - max(path.stat().st_mtime for path in arrived) <= SETTLED_AFTER_S + 0.5:
        time.sleep(0.2)  # the sensor waits for files to hold still
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
        key = Ledger(ledger_path(instance)).key_of(arrived[0].name) or file_key(arrived[0].name)
        console.print(summary(instance, key, TABLE_ASSETS if arguments.table else SCAN_ASSETS))
    made, asset = (
        (settings.outputs / key, "outputs") if arguments.table else (settings.products / f"{key}.h5", "product")
    )
    shown = f"bert_checkpoint/{key}" if arguments.table else f"reconstruction/{key}"
    for line in (
        f"newly stored: {(_stored_nbytes(settings.store) - before) / 1e6:.2f} MB",
        f"{asset + ':':14}{made if made.exists() else 'none yet'}",
        "look:         make ui, then http://127.0.0.1:3000/asset-groups",
        f"              .venv/bin/smalti ls;  .venv/bin/smalti show {shown}",
    ):
        console.print(line, highlight=False, soft_wrap=True)
    for failure in outcome.failures:
        print(failure, file=sys.stderr)
    return 1 if outcome.failures else 0


def _arrive(scan: Path | None, table: Path | None, raw: Path) -> list[Path]:
    """Put what was asked for into the raw folder and return it there, the main file first."""
    if scan:
        return [bring(scan, raw)]
    if table:
        test = test_table_of(table)
        return [bring(path, raw) for path in (table, test) if path]
    return [simulate(raw)]


def _stored_nbytes(store: Path) -> int:
    """Return the bytes of every file in the store."""
    return sum(path.stat().st_size for path in store.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    sys.exit(main())
