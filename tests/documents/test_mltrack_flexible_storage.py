"""Every code block of the MLtrack document runs here, with only its import lines changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from smalti.runs import FlexibleDataStore, RunType, StorageMode
from tests.documents.blocks import Block, names_in_tree, read, run

# What is done with each block; a block that is not here is one that nobody has looked at.
KNOWN = {
    "1. Content-Addressable Storage 1": "run with what a reference says; the path is where the data lies",
    "2. Run Types 1": "run; the members are ours",
    "3. Storage Modes 1": "run; the members are ours",
    "Basic Data Storage with Deduplication 1": "run against a bucket on this machine",
    "Different Run Types 1": "run in a folder; the runs are shown where their modes say",
    "Using the Decorator 1": "run, and the function called",
    "Shared Data Across Experiments 1": "run with the real MLflow",
    "S3 Structure 1": "each path is there in a bucket, with our file name for a table",
    "Old Way (Everything is an Experiment) 1": "run; the old call does what the document says it means now",
    "New Way (Flexible Organization) 1": "run",
    "Configuration 1": "run by bash; the settings are taken from the environment that it leaves",
    "Configuration 2": "run against a bucket on this machine",
}
BUCKETS = ("my-mltrack-bucket", "my-bucket")
TRAINING = pd.DataFrame({"age": [31, 42, 53] * 300, "churned": [False, True, False] * 300})  # a file of its own


@pytest.fixture(scope="session")
def blocks(spec_folder: Path) -> dict[str, Block]:
    return read(spec_folder, "mltrack_flexible_storage.md")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A mock S3 server on this machine, with the buckets of the document."""
    server_module = pytest.importorskip("moto.server", reason="the mock S3 server is not installed")
    boto3 = pytest.importorskip("boto3")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.client(
            "s3", endpoint_url=endpoint, aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1"
        )
        for bucket in BUCKETS:
            client.create_bucket(Bucket=bucket)
        yield endpoint
    finally:
        server.stop()


@pytest.fixture
def s3(s3_server: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server, named in the environment together with its credentials."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "SMALTI_S3_ENDPOINT": s3_server,
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": uuid.uuid4().hex,
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture
def names(root: Path) -> dict[str, Any]:
    """What the document has named before its examples: a store, here in a folder, and what it imported."""
    return {"store": FlexibleDataStore(), "RunType": RunType, "StorageMode": StorageMode, "pd": pd}


def test_no_block_is_forgotten(blocks: dict[str, Block]) -> None:
    assert list(blocks) == list(KNOWN)


def test_data_lies_where_the_document_says(blocks: dict[str, Block], names: dict[str, Any]) -> None:
    reference = names["store"].store_data(TRAINING, "training_data")
    known = {"hash": reference.hash, "format": reference.format, "data_content": b"", "sha256": sha256}
    after = run(blocks["1. Content-Addressable Storage 1"], known)
    assert after["storage_path"] == reference.storage_path
    assert Path(names["store"].store.place, after["storage_path"]).is_file()


@pytest.mark.parametrize(
    ("key", "ours"), [("2. Run Types 1", RunType), ("3. Storage Modes 1", StorageMode)], ids=["types", "modes"]
)
def test_run_types_and_storage_modes_are_those_of_the_document(
    blocks: dict[str, Block], key: str, ours: type[Enum]
) -> None:
    theirs = run(blocks[key], {"Enum": Enum})[ours.__name__]
    assert {one.name: one.value for one in theirs} == {one.name: one.value for one in ours}


def test_the_same_data_under_two_names_is_stored_once_in_the_bucket(
    blocks: dict[str, Block], s3: str, capsys: pytest.CaptureFixture[str]
) -> None:
    after = run(blocks["Basic Data Storage with Deduplication 1"], {"training_df": TRAINING})
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"Stored: [0-9a-f]{8}\.\.\.", first)
    assert first == second
    assert after["ref1"].hash == after["ref2"].hash
    store = after["store"]
    assert store.store.place == "s3://my-mltrack-bucket/mltrack"
    for name in ("training_data", "experiment_42_data"):
        pd.testing.assert_frame_equal(store.retrieve_data(name), TRAINING)


def test_runs_of_every_type_are_shown_where_their_modes_say(blocks: dict[str, Block], names: dict[str, Any]) -> None:
    run(blocks["Different Run Types 1"], names)
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    place = Path(names["store"].store.place)
    shown = {
        path.parent.relative_to(place / "runs").as_posix().replace(day, "<day>")
        for path in (place / "runs").rglob("manifest.json")
    }
    assert shown == {
        "by_project/new_features/dev_001",
        "by_date/<day>/dev_001",
        "by_type/production/prod_001",
        "by_model/unknown/prod_001",
        "by_type/evaluation/eval_001",
        "by_project/q4_benchmarks/eval_001",
    }


def test_a_decorated_function_records_its_runs(blocks: dict[str, Block], names: dict[str, Any]) -> None:
    model = SimpleNamespace(predict=lambda table: table["amount"].to_numpy() > 100)
    process_transactions = run(blocks["Using the Decorator 1"], {"pd": pd, "model": model})["process_transactions"]
    table = pd.DataFrame({"amount": [20.0, 900.0]})
    assert process_transactions(table, "v7").tolist() == [False, True]
    (recorded,) = names["store"].list_runs()
    assert (recorded.run_type, recorded.project, recorded.status) == ("production", "fraud_detection", "finished")
    assert recorded.parameters == {"model_version": "v7"}
    assert names["store"].find_runs_by_data(table) == [recorded.run_id]
    assert {location.split("/")[1] for location in recorded.storage_locations} == {"by_type", "by_date"}


def test_many_experiments_share_one_dataset(
    blocks: dict[str, Block], names: dict[str, Any], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed; the extra mlflow brings it")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((root / "mlruns").as_uri())
    mlflow.set_experiment("hyperparam_search")
    dataset = np.random.default_rng(0).random((500, 100))
    surroundings = {
        "mlflow": mlflow,
        "large_dataset": dataset,
        "hyperparameter_configs": [{"lr": 10.0**-n} for n in range(10)],
        "train_model": lambda data, config: config,
        "predictions": np.arange(7),
    }
    try:
        after = run(blocks["Shared Data Across Experiments 1"], {**names, **surroundings})
    finally:
        mlflow.set_tracking_uri(before)
    store, reference = names["store"], after["data_ref"]
    runs = store.find_runs_by_data(reference.hash)
    assert len(runs) == 10
    assert [store.get_run(one).links["mlflow_run"] for one in runs] == runs
    assert sum(path.stat().st_size for path in (root / "store/data").rglob("data.npy")) < 1.01 * dataset.nbytes + 9000


def test_a_bucket_looks_as_the_document_draws_it(blocks: dict[str, Block], s3: str) -> None:
    boto3 = pytest.importorskip("boto3")
    store = FlexibleDataStore(s3_bucket="my-bucket")
    churn = store.create_run("run_abc123", project="customer_churn", storage_modes=["by_project", "by_date"])
    digits = store.add_run_input(churn, "training_data", TRAINING).hash
    store.create_run("run_xyz789", "production", storage_modes="by_type")
    store.create_run("run_def456", "evaluation", storage_modes="by_type")
    client = boto3.client("s3", endpoint_url=s3)
    keys = [one["Key"] for one in client.list_objects_v2(Bucket="my-bucket")["Contents"]]
    ours = {"data.parquet": "data.arrow", "a3": digits[:2], "a3f5c8d2...": digits, "2024-01-15": churn.created_at[:10]}
    drawn = [path for path in names_in_tree(blocks["S3 Structure 1"]) if not path.endswith("/...") and "b7" not in path]
    assert len(drawn) == 21
    for path in drawn:
        key = "/".join(["mltrack", *(ours.get(part, part) for part in path.split("/"))])
        assert any(one == key or one.startswith(f"{key}/") for one in keys), (key, keys)
    entry = json.loads(
        client.get_object(
            Bucket="my-bucket", Key="mltrack/runs/by_project/customer_churn/run_abc123/inputs/training_data.json"
        )["Body"].read()
    )
    assert f"mltrack/{entry['below']}data.arrow" in keys


def test_the_old_way_is_a_run_of_an_experiment_by_project(blocks: dict[str, Block], names: dict[str, Any]) -> None:
    store = names["store"]

    def store_inputs(data: Any, experiment_id: str, run_id: str) -> None:
        manifest = store.create_run(run_id, RunType.EXPERIMENT, experiment_id, [StorageMode.BY_PROJECT])
        store.add_run_input(manifest, "training_data", data)

    surroundings = {"data": TRAINING, "experiment_id": "churn", "run_id": "run_1"}
    old = SimpleNamespace(store_inputs=store_inputs)
    run(blocks["Old Way (Everything is an Experiment) 1"], {"store": old, **surroundings})
    assert store.get_run("run_1").storage_locations == ["runs/by_project/churn/run_1"]
    run(blocks["New Way (Flexible Organization) 1"], {**names, "run_id": "run_2"})
    assert store.get_run("run_2").storage_locations[0] == "runs/by_type/production/run_2"


def test_the_environment_of_the_document_is_taken(
    blocks: dict[str, Block], s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = blocks["Configuration 1"].text.replace("by_project", "by_type").replace("=experiment", "=production")
    for text, expected in (
        (blocks["Configuration 1"].text, ("experiment", "by_project")),
        (script, ("production", "by_type")),
    ):
        done = subprocess.run(["bash", "-c", f"{text}\nenv -0"], capture_output=True, text=True, check=True)
        for line in done.stdout.split("\0"):
            name, _, value = line.partition("=")
            if name.startswith("MLTRACK_"):
                monkeypatch.setenv(name, value)
        store = FlexibleDataStore()
        assert store.store.place == "s3://my-mltrack-bucket/mltrack"
        assert (store.default_run_type, store.default_storage_mode) == expected
    after = run(
        blocks["Configuration 2"],
        {"FlexibleDataStore": FlexibleDataStore, "RunType": RunType, "StorageMode": StorageMode},
    )
    store = after["store"]
    manifest = store.create_run(f"run_{uuid.uuid4().hex}")
    assert store.store.place == "s3://my-bucket/mltrack"
    assert manifest.storage_locations == [f"runs/by_type/production/{manifest.run_id}"]
