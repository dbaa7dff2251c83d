"""Laws of ``smalti clean``: what can be made again goes, all else stays; a dry run says the same and does nothing."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from smalti import Store, open_store
from smalti.cli import app
from smalti.memoize import remembering
from smalti.simulation import simulate_star


@pytest.fixture
def root(tmp_path: Path, monkeypatch) -> Path:
    """A root with a simulated scan and a measured one, what came of each, a remembered result and a library."""
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("SMALTI_CACHE", str(tmp_path / "cache"))
    store = open_store(tmp_path / "root" / "store")
    scan = simulate_star("simulated", positions_per_side=2, window=16)
    store.put(scan, "scan/simulated")
    store.put(_named(scan, "measured"), "scan/measured")
    store.put(np.arange(10), "kept")
    store.add_manifest("run", inputs={"it": "kept"})
    with remembering(store):
        simulate_star("remembered", positions_per_side=2, window=16, seed=1)
    for name in ("simulated", "remembered", "measured"):
        _write(tmp_path / "root" / "outputs" / name / "metrics.csv")
        _write(tmp_path / "root" / "outputs" / name / "logs" / "debug.log")
        _write(tmp_path / "root" / "outputs" / "ptychodus_products" / f"{name}.h5")
        _write(tmp_path / "root" / "data" / "raw" / f"{name}.npz")
    _write(tmp_path / "root" / "outputs" / "simulated" / "my notes.txt")
    _write(tmp_path / "cache" / "blas" / "openblas-1-aa.so")
    return tmp_path / "root"


def _named(scan, name: str):
    return replace(scan, metadata=scan.metadata.model_copy(update={"name": name, "source": "beamline 7"}))


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(100))


def files(root: Path) -> set[str]:
    """Every file beside the store, and the library."""
    return {
        str(path.relative_to(root.parent))
        for path in root.parent.rglob("*")
        if path.is_file() and "store" not in path.relative_to(root.parent).parts
    }


def clean(*arguments: str) -> dict:
    done = CliRunner().invoke(app, ["clean", "--json", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return json.loads(done.stdout)


def values(store: Store) -> dict[str, str]:
    return {version.name: version.address for version in store.names() if not version.name.startswith("memoized/")}


def test_what_can_be_made_again_goes_and_all_else_stays(root: Path) -> None:
    store = open_store(root / "store")
    before, named = files(root), values(store)
    report = clean()
    gone = {
        "cache/blas/openblas-1-aa.so",
        *(
            f"root/outputs/{path}"
            for name in ("simulated", "remembered")
            for path in (f"{name}/metrics.csv", f"{name}/logs/debug.log", f"ptychodus_products/{name}.h5")
        ),
    }
    assert before - files(root) == gone
    assert report["nbytes"] == 100 * len(gone)
    assert values(store) == named
    assert [manifest.run for manifest in store.manifests()] == ["run"]
    for name in named:
        store.get(name)
    assert [version.name for version in store.names()] == sorted(named)


def test_a_dry_run_says_the_same_and_does_nothing(root: Path) -> None:
    before = files(root)
    said = clean("--dry-run")
    assert files(root) == before
    assert any(version.name.startswith("memoized/") for version in open_store(root / "store").names())
    assert said | {"dry_run": False} == clean()
    assert said["remembered_results"] == 1
    assert said["nbytes_for_gc"] > 0


def test_what_is_clean_stays_clean(root: Path) -> None:
    clean()
    again = clean()
    assert not any(again.values())


def test_a_measured_scan_of_the_same_name_protects_its_outputs(root: Path) -> None:
    scan = simulate_star("measured", positions_per_side=2, window=16)
    open_store(root / "store").put(scan, "scan/simulated-as-measured")
    clean()
    assert "root/outputs/measured/metrics.csv" in files(root)


def test_it_says_what_it_frees_in_sentences(root: Path) -> None:
    said = CliRunner().invoke(app, ["clean", "--dry-run"], catch_exceptions=False).stdout
    assert "6 outputs of simulated scans, 600 B" in said
    assert "1 remembered results" in said
    assert "700 B would be freed; `smalti gc` could then collect" in said


def test_outputs_of_ops_go_when_they_are_older_than_the_setting_says(root: Path, monkeypatch) -> None:
    store = open_store(root / "store")
    store.put(np.arange(100), "runs/0b1c/big/result")
    assert clean()["outputs_of_ops"] == 0, "they are new"
    monkeypatch.setenv("SMALTI_OP_OUTPUTS_DAYS", "0")
    assert clean("--dry-run")["outputs_of_ops"] == 1
    assert "runs/0b1c/big/result" in {version.name for version in store.names()}
    assert clean()["outputs_of_ops"] == 1
    assert "runs/0b1c/big/result" not in {version.name for version in store.names()}
