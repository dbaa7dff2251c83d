"""Tables as a person uses them: a training table and its test table in, a submission out, and nothing made twice."""

from __future__ import annotations

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

from smalti import open_store
from smalti.tabular.settings import BertSettings

PROJECT = Path(__file__).parents[2]
ASSETS = ["raw_table", "table", "text_split", "bert_checkpoint", "submission"]
CANARY = "canary-5f2c1a77"
MakeRun = Callable[..., subprocess.CompletedProcess[str]]


def write_tables(folder: Path, name: str = "fruit", rows: int = 96, label: str = "kind") -> Path:
    """A table in which colour and weight tell the fruit, and a test table beside it; return the first."""
    random = np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    lemon = random.random(rows) < 0.5
    grams = np.where(lemon, random.normal(90, 9, rows), random.normal(160, 12, rows)).round(1)
    colour = np.where(lemon ^ (random.random(rows) < 0.1), "yellow", "red")
    train = folder / f"{name}_train.csv"
    lines = [
        f"{i},{c},{g},{'lemon' if is_lemon else 'apple'}"
        for i, (c, g, is_lemon) in enumerate(zip(colour, grams, lemon, strict=True))
    ]
    train.write_text("\n".join([f"fruit_id,colour,grams,{label}", *lines[: rows - 20]]) + "\n")
    unlabelled = [line.rpartition(",")[0] for line in lines[rows - 20 :]]
    (folder / f"{name}_test.csv").write_text("\n".join(["fruit_id,colour,grams", *unlabelled]) + "\n")
    return train


@pytest.fixture(scope="module")
def make_run(run_once: Callable[..., subprocess.CompletedProcess[str]]) -> MakeRun:
    return lambda table: run_once("--table", table, DATASET_API_KEY=CANARY)


@pytest.fixture(scope="module")
def first_run(make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    done = make_run(write_tables(tmp_path_factory.mktemp("elsewhere")))
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_a_training_table_becomes_a_submission_for_the_test_table_beside_it(
    home: Path, first_run: subprocess.CompletedProcess[str]
) -> None:
    with (home / "outputs" / "fruit_train" / "submission.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["fruit_id"]) for row in rows] == list(range(76, 96))
    assert {row["kind"] for row in rows} == {"lemon", "apple"}
    assert list(rows[0]) == ["fruit_id", "kind"]
    names = {named.name for named in open_store(home / "store").names()}
    assert {f"{asset}/fruit_train" for asset in ASSETS} <= names
    assert "text_split/fruit_test" not in names
    assert str(home / "outputs" / "fruit_train") in first_run.stdout


def test_what_people_look_at_is_in_a_folder_of_the_dataset(
    home: Path, first_run: subprocess.CompletedProcess[str]
) -> None:
    folder, store = home / "outputs" / "fruit_train", open_store(home / "store")
    assert {"submission.csv", "metrics.csv", "history.csv", "evaluation.png", "model_card.md"} <= {
        path.name for path in folder.iterdir()
    }
    digests = json.loads((folder / "params.json").read_text())["digests"]
    assert digests["checkpoint"] == store.resolve("bert_checkpoint/fruit_train")
    assert digests["test_table"] == store.resolve("table/fruit_test")
    made_from = {hop.read for hop in store.lineage("submission/fruit_train", "upstream")}
    assert {store.resolve(f"raw_table/{key}") for key in ("fruit_train", "fruit_test")} <= made_from
    assert digests["raw_table"] == store.resolve("raw_table/fruit_train")
    assert digests["split"] == store.resolve("text_split/fruit_train")
    card = (folder / "model_card.md").read_text()
    stated = {name: digests[name] for name in ("raw_table", "split", "checkpoint", "test_table")}
    assert all(f"{name.replace('_', ' ')}: {digest}" in card for name, digest in stated.items())


def test_dagster_knows_digests_lineage_and_the_numbers_of_every_epoch(
    home: Path, first_run: subprocess.CompletedProcess[str]
) -> None:
    store = open_store(home / "store")
    with dg.DagsterInstance.from_config(str(home / ".dagster")) as instance:
        for asset in ASSETS:
            wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=["fruit_train"])
            made = instance.fetch_materializations(wanted, limit=1).records[0].asset_materialization
            assert made is not None
            assert made.tags is not None
            assert made.tags["dagster/data_version"] == store.resolve(f"{asset}/fruit_train")
            if asset == "bert_checkpoint":
                assert made.metadata["epoch"].value == BertSettings().epochs, "the numbers are of the weights stored"
        assert "dagster/input_data_version/bert_checkpoint" in made.tags
        assert {"accuracy", "dagster/row_count", "evaluation"} <= set(made.metadata)
        seen = instance.fetch_observations(dg.AssetKey("bert_checkpoint"), limit=100).records
        epochs = [record.asset_observation.metadata["epoch"].value for record in seen if record.asset_observation]
        assert sorted(epochs) == list(range(1, BertSettings().epochs + 1))


def test_every_column_says_from_which_columns_it_was_made(
    home: Path, first_run: subprocess.CompletedProcess[str]
) -> None:
    def lineage(asset: str) -> dict[str, set[str]]:
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=["fruit_train"])
        made = instance.fetch_materializations(wanted, limit=1).records[0].asset_materialization
        assert made is not None
        deps = made.metadata["dagster/column_lineage"].value.deps_by_column
        return {
            column: {f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in of} for column, of in deps.items()
        }

    features = {"table.colour", "table.grams"}
    with dg.DagsterInstance.from_config(str(home / ".dagster")) as instance:
        assert lineage("table")["grams"] == {"raw_table.grams"}
        assert lineage("text_split") == {"id": {"table.fruit_id"}, "text": features, "label": {"table.kind"}}
        assert lineage("submission") == {"fruit_id": {"table.fruit_id"}, "kind": features}


def test_a_second_run_stores_nothing_and_says_so(
    home: Path, make_run: MakeRun, first_run: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    before = set((home / "store" / "data").rglob("*"))
    done = make_run(write_tables(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "nothing new has arrived" in done.stdout
    assert "newly stored: 0.00 MB" in done.stdout
    assert set((home / "store" / "data").rglob("*")) == before


def test_a_secret_of_the_environment_is_nowhere_in_what_is_kept(
    home: Path, first_run: subprocess.CompletedProcess[str]
) -> None:
    assert CANARY not in first_run.stdout + first_run.stderr
    assert [path for path in home.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()] == []


def test_a_secret_of_the_environment_is_in_nothing_that_the_web_ui_is_told(
    home: Path, first_run: subprocess.CompletedProcess[str]
) -> None:
    environment = {
        **os.environ,
        "SMALTI_ROOT": str(home),
        "DAGSTER_HOME": str(home / ".dagster"),
        "DATASET_API_KEY": CANARY,
    }
    command = [sys.executable, "-m", "tests.pipeline.graphql_answer"]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    answer = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert "errors" not in answer
    told = json.dumps(answer)
    assert "fruit_train" in told
    assert str(home / "store") in told
    assert CANARY not in told + done.stdout + done.stderr


def test_a_test_table_that_comes_later_is_predicted_by_the_network_that_is_there(
    home: Path, make_run: MakeRun, first_run: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    train = write_tables(tmp_path, "late", rows=70, label="target")
    test = train.with_name("late_test.csv").rename(tmp_path / "kept")
    done = make_run(train)
    assert done.returncode == 0, done.stderr
    assert "no test table of late_train has arrived" in done.stdout
    store = open_store(home / "store")
    trained = store.resolve("bert_checkpoint/late_train")
    assert "submission/late_train" not in {named.name for named in store.names()}
    assert (home / "outputs" / "late_train" / "model_card.md").is_file()

    test.rename(train.with_name("late_test.csv"))
    done = make_run(train)
    assert done.returncode == 0, done.stderr
    assert (home / "outputs" / "late_train" / "submission.csv").is_file()
    assert store.resolve("bert_checkpoint/late_train") == trained


def test_a_table_of_which_nobody_says_what_to_predict_stays_a_table(
    home: Path, make_run: MakeRun, first_run: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    (tmp_path / "measured.csv").write_text("a,b\n1,x\n2,y\n")
    done = make_run(tmp_path / "measured.csv")
    assert done.returncode == 0, done.stderr
    names = {named.name for named in open_store(home / "store").names()}
    assert "table/measured" in names
    assert "text_split/measured" not in names


def test_a_training_table_without_a_clear_target_is_refused_in_a_sentence_that_shows_the_way(
    make_run: MakeRun, first_run: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    (tmp_path / "vague_train.csv").write_text("\n".join(["a,b,c", *(f"{i % 7},{i % 5},{i % 3}" for i in range(40))]))
    done = make_run(tmp_path / "vague_train.csv")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "card" in done.stderr.splitlines()[-1]


def test_a_missing_table_is_refused_in_a_sentence(make_run: MakeRun, tmp_path: Path) -> None:
    done = make_run(tmp_path / "nothing_train.csv")
    assert done.returncode == 1
    assert "nothing_train.csv" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
