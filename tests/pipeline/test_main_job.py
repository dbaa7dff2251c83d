"""The main job as a person runs it: a raw scan in, a Ptychodus product out, and bad input refused in a sentence."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import yaml

from smalti import open_store
from smalti.products import validate_product
from smalti.ptycho.evaluate.frc import FrcResult
from smalti.ptycho.report.outputs import FILES
from smalti.simulation import card_fields, simulate_scan, write_raw_npz

PROJECT = Path(__file__).parents[2]
ASSETS = ["raw_scan", "scan", "scan_split", "ptycho_checkpoint", "reconstruction", "resolution", "ptychodus_product"]
MakeRun = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def make_run(run_once: Callable[..., subprocess.CompletedProcess[str]]) -> MakeRun:
    return lambda scan: run_once("--scan", scan)


@pytest.fixture(scope="module")
def small_scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 simulated patterns of 32 x 32, with their card, in a folder of the user's."""
    path = tmp_path_factory.mktemp("elsewhere") / "small.npz"
    scan = simulate_scan("small", positions_per_side=8, window=32)
    write_raw_npz(scan, path)
    path.with_name("small.npz.card.yaml").write_text(yaml.safe_dump(card_fields(scan)))
    return path


@pytest.fixture(scope="module")
def first_run(make_run: MakeRun, small_scan: Path) -> subprocess.CompletedProcess[str]:
    done = make_run(small_scan)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_a_raw_scan_becomes_a_sound_product(home: Path, first_run: subprocess.CompletedProcess[str]) -> None:
    product = home / "outputs" / "ptychodus_products" / "small.h5"
    assert validate_product(product).accepted
    assert str(product) in first_run.stdout.replace("\n", "")
    store = open_store(home / "store")
    assert {f"{asset}/small" for asset in ASSETS} <= {named.name for named in store.names()}
    assert store.get("reconstruction/small").metrics["r_factor"] < 0.3
    assert store.fsck().clean


def test_every_run_has_a_manifest_and_the_product_leads_back_to_the_raw_file(
    home: Path, first_run: subprocess.CompletedProcess[str]
) -> None:
    store = open_store(home / "store")
    assert {manifest.project for manifest in store.manifests()} == {"arrival", "ingest", "reconstruct"}
    assert all(manifest.status == "finished" for manifest in store.manifests())
    product, raw = store.resolve("ptychodus_product/small"), store.resolve("raw_scan/small")
    upstream = {hop.step: hop for hop in reversed(store.lineage(product, "upstream"))}
    assert upstream.keys() == {f"{asset}/small" for asset in ASSETS} - {"resolution/small"}
    assert (upstream["scan/small"].read, upstream["raw_scan/small"].read) == (raw, None)
    assert product in {hop.wrote for hop in store.lineage(raw, "downstream")}


def test_what_people_look_at_is_in_a_folder_of_the_scan(
    home: Path, first_run: subprocess.CompletedProcess[str]
) -> None:
    folder, store = home / "outputs" / "small", open_store(home / "store")
    assert {path.name for path in folder.iterdir()} == FILES - {"older"}
    with (folder / "metrics.csv").open() as file:
        metrics = {row["metric"]: float(row["value"]) for row in csv.DictReader(file)}
    assert metrics["r_factor"] == store.get("reconstruction/small").metrics["r_factor"]
    resolution = FrcResult.from_stored(store.get("resolution/small")).metrics()
    assert {name: metrics[name] for name in resolution} == resolution
    assert resolution["frc_phase_half_bit"] > 0.3  # shuffled patterns stay below
    params = json.loads((folder / "params.json").read_text())
    assert params["digests"]["resolution"] == store.resolve("resolution/small")
    log = (folder / "logs" / "debug.log").read_text()
    assert "epoch 60, epochs 60, loss" in log
    assert "half 2, epoch 60" in log


def test_the_product_shares_its_arrays_with_the_reconstruction(
    home: Path, first_run: subprocess.CompletedProcess[str]
) -> None:
    store = open_store(home / "store")
    reconstruction = store.record("reconstruction/small").children
    assert store.record("ptychodus_product/small").children["loss_values"] == reconstruction["loss"]


def test_dagster_knows_the_digest_the_check_and_the_lineage(
    home: Path, first_run: subprocess.CompletedProcess[str]
) -> None:
    store = open_store(home / "store")
    with dg.DagsterInstance.from_config(str(home / ".dagster")) as instance:
        for asset in ASSETS:
            event = instance.get_latest_materialization_event(dg.AssetKey(asset))
            assert event is not None
            assert event.asset_materialization is not None
            assert event.asset_materialization.tags["dagster/data_version"] == store.resolve(f"{asset}/small")
        scan = instance.get_latest_materialization_event(dg.AssetKey("scan"))
        assert scan is not None
        assert scan.asset_materialization is not None
        of_raw = scan.asset_materialization.tags["dagster/input_data_version/raw_scan"]
        assert of_raw == store.resolve("raw_scan/small")
        rejected = instance.get_latest_materialization_event(dg.AssetKey("rejected_files"))
        assert rejected is not None
        assert rejected.asset_materialization is not None
        assert rejected.asset_materialization.metadata["rejected"].value == 0


def test_a_second_run_stores_nothing_and_says_so(
    home: Path, make_run: MakeRun, small_scan: Path, first_run: subprocess.CompletedProcess[str]
) -> None:
    before = kept_in(home / "store")
    done = make_run(small_scan)
    assert done.returncode == 0
    assert "nothing new has arrived" in done.stdout
    assert "newly stored: 0.00 MB" in done.stdout
    assert kept_in(home / "store") == before


def test_a_scan_too_small_for_rings_still_becomes_a_product(
    home: Path, make_run: MakeRun, tmp_path: Path, first_run: subprocess.CompletedProcess[str]
) -> None:
    scan = simulate_scan("tiny", positions_per_side=4, window=32)
    write_raw_npz(scan, tmp_path / "tiny.npz")
    (tmp_path / "tiny.npz.card.yaml").write_text(yaml.safe_dump(card_fields(scan)))
    done = make_run(tmp_path / "tiny.npz")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rings take at least 16 a side; give a scan of more positions" in done.stdout
    assert (home / "outputs" / "ptychodus_products" / "tiny.h5").is_file()
    assert "resolution/tiny" not in {named.name for named in open_store(home / "store").names()}


def kept_in(folder: Path) -> set[Path]:
    """All that is there, but for what SQLite has beside a database while somebody, an earlier test too, has it open."""
    return {path for path in folder.rglob("*") if not path.name.endswith(("-wal", "-shm"))}


def missing_key(arrays: dict[str, np.ndarray]) -> None:
    del arrays["xcoords"]


def length_mismatch(arrays: dict[str, np.ndarray]) -> None:
    arrays["ycoords"] = arrays["ycoords"][:-1]


def not_finite(arrays: dict[str, np.ndarray]) -> None:
    arrays["diffraction"] = np.where(np.arange(32) == 3, np.nan, arrays["diffraction"]).astype(np.float32)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [(missing_key, "xcoords"), (length_mismatch, "ycoords"), (not_finite, "diffraction")],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_scan_is_refused_in_a_sentence_and_leaves_no_trace(
    home: Path,
    make_run: MakeRun,
    small_scan: Path,
    tmp_path: Path,
    spoil: Callable[[dict[str, np.ndarray]], None],
    sentence: str,
    first_run: subprocess.CompletedProcess[str],
) -> None:
    with np.load(small_scan) as stored:
        arrays = dict(stored)
    spoil(arrays)
    np.savez(tmp_path / "broken.npz", **arrays)
    before = kept_in(home)
    done = make_run(tmp_path / "broken.npz")
    assert done.returncode == 1
    assert f"broken.npz: {sentence}" in done.stderr
    assert "Traceback" not in done.stderr
    assert kept_in(home) ^ before == set()


def test_a_missing_scan_is_refused_in_a_sentence(make_run: MakeRun, tmp_path: Path) -> None:
    done = make_run(tmp_path / "nothing.npz")
    assert done.returncode == 1
    assert "nothing.npz" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_definitions_load_from_any_folder(tmp_path: Path) -> None:
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path)}
    command = [str(Path(sys.executable).with_name("dagster")), "definitions", "validate", "-w"]
    done = subprocess.run(
        [*command, str(PROJECT / "workspace.yaml")], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
