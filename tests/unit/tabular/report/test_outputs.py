"""The output folder of a dataset: every file, equal for equal arguments, readable by other tools."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from smalti.codecs.checkpoint import Checkpoint
from smalti.tabular.evaluate.cross_validation import CrossValidation
from smalti.tabular.evaluate.evaluation import Evaluation, evaluate_predictions
from smalti.tabular.predictions import Predictions
from smalti.tabular.report.card import Provenance
from smalti.tabular.report.outputs import (
    CHECKPOINT,
    FILES,
    checkpoint_part,
    cross_validation_part,
    table_part,
    write_dataset_parts,
    write_outputs,
)
from smalti.tabular.settings import BertSettings
from smalti.tabular.split import TextSplit
from smalti.tabular.task import TableTask
from tests.unit.tabular.tables import perfect

SMALL = BertSettings(hidden_size=8, heads=2, members=1)
HISTORY = [{"epoch": 1, "loss": 0.9}, {"epoch": 2, "loss": 0.5, "validation_loss": 0.6, "accuracy": 0.8}]
FROM = Provenance("garden", "https://example.org", "CC0", {"raw_table": "sha256:00", "split": "sha256:01"})


def checkpoint_of(split: TextSplit) -> Checkpoint:
    """Return a checkpoint as training leaves it, without weights."""
    config = {**TableTask(split, SMALL).model_config, "training": {"epochs": 2, "metric": "validation_loss"}}
    return Checkpoint({}, {}, config, {"epoch": 2, "history": HISTORY, "environments": [{"mlx": "0.0"}]})


def written(folder: Path, split: TextSplit, evaluation: Evaluation, provenance: Provenance = FROM) -> dict[str, bytes]:
    """Return the files that are written, with a submission."""
    ids = split.test["id"].tolist()
    if split.target.is_regression:
        predictions = Predictions(split.target, split.id_column, ids, None, np.arange(len(ids)) + 0.4)
    else:
        predictions = Predictions(split.target, split.id_column, ids, np.eye(3)[np.arange(len(ids)) % 3], None)
    made = write_outputs(folder, split, checkpoint_of(split), evaluation, provenance, predictions)
    return {path.relative_to(made).as_posix(): path.read_bytes() for path in made.rglob("*") if path.is_file()}


def test_classes_have_every_file_and_equal_arguments_equal_bytes(tmp_path: Path, flower_split: TextSplit) -> None:
    evaluation = evaluate_predictions(flower_split, perfect(flower_split))
    files = written(tmp_path, flower_split, evaluation)
    assert files == written(tmp_path, flower_split, evaluation)
    assert {path.split("/")[0] for path in files} == FILES - {"residuals.csv", "cross_validation.csv", "older"}
    assert pd.read_csv(io.BytesIO(files["submission.csv"]))["kind"].tolist()[:3] == ["aster", "iris", "tulip"]
    assert set(pd.read_csv(io.BytesIO(files["metrics.csv"]))["model"]) == {
        "BERT",
        "logistic regression",
        "most frequent class",
    }
    history = pd.read_csv(io.BytesIO(files["history.csv"]))
    assert history["loss"].tolist() == [0.9, 0.5]
    assert np.isnan(history["accuracy"][0])
    for name in ("evaluation.png", "training.png"):
        assert Image.open(io.BytesIO(files[name])).size[0] == 900
    assert json.loads(files["params.json"])["dataset"] == "garden"


def test_a_regression_has_residuals(tmp_path: Path, house_split: TextSplit) -> None:
    files = written(tmp_path, house_split, evaluate_predictions(house_split, perfect(house_split)))
    assert {path.split("/")[0] for path in files} == FILES - {"classes.csv", "cross_validation.csv", "older"}
    assert pd.read_csv(io.BytesIO(files["residuals.csv"])).columns.tolist() == ["id", "true", "predicted"]
    assert pd.read_csv(io.BytesIO(files["submission.csv"]))["price"].tolist()[:2] == [0, 1]


def test_the_card_says_what_it_was_made_of(tmp_path: Path, flower_split: TextSplit) -> None:
    noted = replace(flower_split, notes=("3 rows without a kind left out.",))
    files = written(tmp_path, noted, evaluate_predictions(flower_split, perfect(flower_split)))
    card = files["model_card.md"].decode()
    for said in (
        "# BERT trained on garden to predict kind",
        "- licence: CC0",
        "- raw table: sha256:00",
        "- split: sha256:01",
        "- rows: 96 to train, 24 to validate, 30 to predict",
        "- noted: 3 rows without a kind left out.",
        "- classes: aster, iris, tulip",
        "| logistic regression |",
        "## Limits",
    ):
        assert said in card


def test_without_a_licence_the_card_says_so(tmp_path: Path, flower_split: TextSplit) -> None:
    evaluation = evaluate_predictions(flower_split, perfect(flower_split))
    made = write_outputs(tmp_path, flower_split, checkpoint_of(flower_split), evaluation, Provenance("garden"))
    assert "- licence: not stated" in (made / "model_card.md").read_text()
    assert not (made / "submission.csv").exists()


def test_each_asset_of_a_dataset_adds_its_part_and_leaves_the_others(tmp_path: Path, flower_split: TextSplit) -> None:
    before = written(tmp_path, flower_split, evaluate_predictions(flower_split, perfect(flower_split)))
    trained = checkpoint_part(checkpoint_of(flower_split)).version
    scores = pd.DataFrame({"fold": [1, 2], "model": ["BERT", "BERT"], "accuracy": [0.8, 0.9]})
    validated = cross_validation_part(CrossValidation(scores, "accuracy", True), "c", {CHECKPOINT: trained})
    folder = write_dataset_parts(tmp_path, "garden", [table_part(120, 4, "t"), validated])
    assert pd.read_csv(folder / "cross_validation.csv")["accuracy"].tolist() == [0.8, 0.9]
    assert validated.card.figures == (("accuracy, cross-validated", "0.85 ± 0.05"),)
    for path in before.keys() - {".parts.json", "params.json"}:
        assert (folder / path).read_bytes() == before[path]


def test_what_a_card_says_of_its_source_is_no_markup_in_the_model_card(tmp_path: Path, flower_split: TextSplit) -> None:
    evaluation = evaluate_predictions(flower_split, perfect(flower_split))
    foreign = Provenance("garden", source="<script>\n# [a](b)", licence="CC_BY")
    card = written(tmp_path, flower_split, evaluation, foreign)["model_card.md"].decode()
    assert r"- source: \<script\> \# \[a\](b)" in card
    assert r"- licence: CC\_BY" in card
