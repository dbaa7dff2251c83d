"""Crates are valid by the validator of the RO-Crate community, and other tools read them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest

from smalti import Store, open_store
from smalti.codecs import RawFile
from smalti.provenance import export_crate
from smalti.store import Step

rocrate = pytest.importorskip("rocrate", reason="rocrate is an extra: pip install 'smalti[crate]'")

_CONTEXT = "https://w3id.org/ro/crate/1.1/context"
# Version 1.3 of the context, which rocrate brings along, maps all terms as 1.1 does but for these.
_OF_1_1 = {
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
}
PROFILES = ["ro-crate-1.1", "process-run-crate", "workflow-run-crate", "provenance-run-crate"]
# What nobody recorded is not made up: who ran it, when it ended, where the code is kept, who publishes it.
NOT_RECORDED = ("agent", "endTime", "have a url", "publisher", "author")
# The check looks at the ids of classes, which none of its crates can change.
OF_THE_VALIDATOR = ("SoftwareApplication id SHOULD be an absolute URI",)


@pytest.fixture(scope="session")
def peers_python() -> Path:
    """The Python of the environment that has ``roc-validator``."""
    python = os.environ.get("SMALTI_TEST_RUN_PEERS")
    if not python:
        pytest.skip("the peers are not installed here; make test-peers installs them and runs these tests")
    return Path(python).absolute()


@pytest.fixture(scope="session")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contexts that crates name, so that no network is needed."""
    document = json.loads((Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_text())
    path = tmp_path_factory.mktemp("contexts") / "contexts.json"
    path.write_text(json.dumps({_CONTEXT: {"@context": document["@context"] | _OF_1_1}}))
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A raw file -> a scan -> a result, by a run without steps and a failed one with two."""
    store = open_store(tmp_path / "store")
    raw = store.put(RawFile("fly 1.npz", b"raw" * 100, {"licence": "CC BY 4.0", "source": "https://example.org/d"}))
    scan = store.put({"diffraction": np.ones((2, 4, 4)), "note": "a"})
    half, whole = store.put_all([np.arange(3.0), {"result": np.arange(5.0)}])
    store.add_manifest(
        "ingest",
        inputs={"raw": raw},
        outputs={"scan": scan},
        status="finished",
        parameters={"bin": 2, "roi": [1, 2]},
        metrics={"patterns": 2},
        environment={"python": "3.11"},
        code={"commit": "a" * 40, "repository": "https://example.org/code"},
        tags={"agent": "Ann <b>"},
        started_at="2026-11-01T10:00:00.000+00:00",
        ended_at="2026-11-01T10:01:00.000+00:00",
    )
    steps = (
        Step("first half", {"scan": scan.digest}, {"half": half.digest}, "2026-11-01T11:00:00.000+00:00", 2.0),
        Step("second/half <b>", {"half": half.digest}, {"whole": whole.digest}),
    )
    store.add_manifest(
        "solve",
        inputs={"scan": scan},
        outputs={"whole": whole},
        steps=steps,
        status="failed",
        error="late",
        parent="ingest",
    )
    return store


def issues(python: Path, contexts: Path, crate: Path, profile: str, severity: str) -> list[list[str]]:
    """What the validator says against a crate."""
    script = Path(__file__).with_name("validate_crate.py")
    done = subprocess.run(
        [python, script, crate, profile, severity, contexts], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    found: list[list[str]] = answer["issues"]
    assert answer["passed"] == (not found)
    return found


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("target", ["crate", "crate.zip"])
def test_a_run_with_steps_is_valid_by_every_profile(
    store: Store, peers_python: Path, contexts: Path, tmp_path: Path, profile: str, target: str
) -> None:
    assert export_crate(store, "solve", tmp_path / target).profile == "Provenance Run Crate"
    assert issues(peers_python, contexts, tmp_path / target, profile, "REQUIRED") == []


@pytest.mark.parametrize("profile", PROFILES[:2])
def test_a_value_of_runs_without_steps_is_a_process_run_crate(
    store: Store, peers_python: Path, contexts: Path, tmp_path: Path, profile: str
) -> None:
    scan = store.manifest("ingest").outputs["scan"]
    assert export_crate(store, scan, tmp_path / "crate").profile == "Process Run Crate"
    assert issues(peers_python, contexts, tmp_path / "crate", profile, "REQUIRED") == []


@pytest.mark.parametrize("host", ["", platform.node()])  # "": nobody can tell whether it still runs
def test_a_run_that_has_not_ended_is_valid(
    store: Store, peers_python: Path, contexts: Path, tmp_path: Path, host: str
) -> None:
    details = store.put({"python": "3.11.9", "packages": {"numpy": "2.1.0"}})
    with subprocess.Popen(["true"]) as ended:
        pass
    environment = {"details": details.digest, "host": host, "pid": ended.pid}
    used = {"inputs": {"x": store.manifest("ingest").outputs["scan"]}, "outputs": {"y": store.put(b"y")}}
    store.begin_manifest("begun", **used, status="running", environment=environment)
    export_crate(store, "begun", tmp_path / "crate")
    assert issues(peers_python, contexts, tmp_path / "crate", "process-run-crate", "REQUIRED") == []
    document = json.loads((tmp_path / "crate" / "ro-crate-metadata.json").read_text())
    (action,) = (entity for entity in document["@graph"] if entity.get("name") == "run begun")
    assert action["actionStatus"].endswith("FailedActionStatus" if host else "ActiveActionStatus")
    assert any(e.get("name") == "numpy" and e["softwareVersion"] == "2.1.0" for e in document["@graph"])


def test_values_by_reference_are_valid(store: Store, peers_python: Path, contexts: Path, tmp_path: Path) -> None:
    export_crate(store, "solve", tmp_path / "crate", data="reference")
    assert issues(peers_python, contexts, tmp_path / "crate", "provenance-run-crate", "REQUIRED") == []


@pytest.mark.parametrize(("what", "profile"), [("solve", "provenance-run-crate"), ("ingest", "process-run-crate")])
def test_of_what_is_recommended_only_what_nobody_recorded_is_missing(
    store: Store, peers_python: Path, contexts: Path, tmp_path: Path, what: str, profile: str
) -> None:
    export_crate(store, what, tmp_path / "crate")
    found = issues(peers_python, contexts, tmp_path / "crate", profile, "RECOMMENDED")
    known = NOT_RECORDED + OF_THE_VALIDATOR
    assert [one for one in found if not any(word in one[2] for word in known)] == []


def test_a_crate_that_is_not_valid_is_seen(store: Store, peers_python: Path, contexts: Path, tmp_path: Path) -> None:
    export_crate(store, "solve", tmp_path / "crate")
    path = tmp_path / "crate" / "ro-crate-metadata.json"
    document = json.loads(path.read_text())
    for entity in document["@graph"]:
        entity.pop("instrument", None)
    path.write_text(json.dumps(document))
    assert issues(peers_python, contexts, tmp_path / "crate", "process-run-crate", "REQUIRED")


def test_the_library_of_the_community_reads_it_back(store: Store, tmp_path: Path) -> None:
    from rocrate.rocrate import ROCrate

    export_crate(store, "solve", tmp_path / "crate")
    crate = ROCrate(tmp_path / "crate")
    assert crate.mainEntity.id == "workflows/solve.json"
    actions = {entity["name"]: entity for entity in crate.get_by_type("CreateAction")}
    assert actions["run ingest"]["instrument"]["softwareVersion"] == "a" * 40
    assert actions["run solve"]["error"] == "late"
    names = {entity.id for entity in crate.data_entities}
    assert any(name.endswith("fly%201.npz") for name in names)
    for entity in crate.get_by_type("File"):
        assert (tmp_path / "crate" / entity.id.replace("%20", " ").replace("%3C", "<")).exists(), entity.id
