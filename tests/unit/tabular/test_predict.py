"""Prediction: a checkpoint alone is enough, new categories work, and missing columns are refused by name."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pandas as pd
import pytest

from smalti import open_store
from smalti.codecs.checkpoint import Checkpoint
from smalti.errors import Refused
from smalti.tabular.predict import predict_table, predict_texts
from smalti.tabular.predictions import Predictions
from smalti.tabular.settings import BertSettings
from smalti.tabular.split import TextSplit, split_rows
from smalti.tabular.submission import submission, submission_csv
from smalti.tabular.target import Target
from smalti.tabular.task import TableTask
from smalti.training.loop import train
from tests.unit.tabular.tables import flowers, houses

SMALL = BertSettings(hidden_size=16, layers=1, heads=2, intermediate_size=16, members=2, epochs=6, learning_rate=1e-2)
TEST = flowers(30, seed=1)


def trained(split: TextSplit) -> Checkpoint:
    """Return a checkpoint that was stored and read again."""
    store = open_store("memory:")
    found: Checkpoint = store.get(store.put(train(TableTask(split, SMALL), SMALL.training()).last))
    return found


@pytest.fixture(scope="module")
def flower_checkpoint(flower_split: TextSplit) -> Checkpoint:
    return trained(flower_split)


@pytest.fixture(scope="module")
def house_checkpoint(house_split: TextSplit) -> Checkpoint:
    return trained(house_split)


def test_a_raw_table_and_the_texts_of_its_split_are_predicted_alike(
    flower_checkpoint: Checkpoint, flower_split: TextSplit
) -> None:
    table = predict_table(flower_checkpoint, TEST.drop(columns="kind"))
    texts = predict_texts(flower_checkpoint, flower_split.test["text"].tolist(), flower_split.test["id"].tolist())
    np.testing.assert_array_equal(table.probabilities, texts.probabilities)
    assert table.ids == texts.ids == TEST["flower_id"].tolist()
    assert np.mean(np.array(table.labels) == TEST["kind"]) > 0.7
    np.testing.assert_allclose(table.probabilities.sum(axis=1), 1, rtol=1e-6)


def test_a_row_is_predicted_alike_alone_and_among_others(flower_checkpoint: Checkpoint) -> None:
    together = predict_table(flower_checkpoint, TEST).probabilities
    alone = predict_table(flower_checkpoint, TEST[4:5]).probabilities
    np.testing.assert_allclose(alone[0], together[4], atol=1e-5)


def test_new_categories_columns_and_numbers_are_no_obstacle(flower_checkpoint: Checkpoint) -> None:
    odd = TEST.assign(colour="ultraviolet", size_cm=[1e300, -1e300, np.nan, np.inf, 1e-300] * 6, weight=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = predict_table(flower_checkpoint, odd)
    assert np.isfinite(found.probabilities).all()


def test_a_table_that_lacks_columns_is_refused_by_name(flower_checkpoint: Checkpoint) -> None:
    with pytest.raises(Refused, match="lacks 'colour'"):
        predict_table(flower_checkpoint, TEST.drop(columns="colour"))
    with pytest.raises(Refused, match="no column 'flower_id', which names its rows"):
        predict_table(flower_checkpoint, TEST.drop(columns="flower_id"))
    with pytest.raises(Refused, match="flower_id of the table to predict is 7 in several rows"):
        predict_table(flower_checkpoint, TEST.assign(flower_id=7))
    with pytest.raises(Refused, match="has no rows"):
        predict_table(flower_checkpoint, TEST[:0])


def test_another_checkpoint_is_refused() -> None:
    other = Checkpoint({}, {}, {"model_type": "ptychography"}, {})
    with pytest.raises(Refused, match="'ptychography' and not of a BERT trained on a table"):
        predict_table(other, TEST)


def test_texts_that_are_cut_are_said(flower_checkpoint: Checkpoint) -> None:
    with pytest.warns(UserWarning, match="1 of 2 texts are longer than 256 tokens"):
        predict_texts(flower_checkpoint, ["colour red, " * 300, "colour red"], [1, 2])


def test_a_regression_is_predicted_in_the_unit_of_the_table(house_checkpoint: Checkpoint) -> None:
    test = houses(20, seed=1)
    found = predict_table(house_checkpoint, test)
    assert all(isinstance(label, int) for label in found.labels)
    assert np.corrcoef(np.log(found.labels), np.log(test["price"]))[0, 1] > 0.8


def test_a_submission_has_the_rows_of_the_test_table_in_its_order(flower_checkpoint: Checkpoint) -> None:
    test = TEST.sample(frac=1, random_state=0)
    csv = pd.read_csv(io.BytesIO(submission_csv(predict_table(flower_checkpoint, test))))
    assert list(csv.columns) == ["flower_id", "kind"]
    assert csv["flower_id"].tolist() == test["flower_id"].tolist()
    assert set(csv["kind"]) <= {"aster", "iris", "tulip"}


@pytest.mark.parametrize(("classes", "written"), [((0, 1), "1"), ((False, True), "True"), (("no", "yes"), "yes")])
def test_labels_are_written_as_in_the_training_table(classes: tuple[object, ...], written: str) -> None:
    target = Target("y", "binary_classification", classes)
    predictions = Predictions(target, "id", ["a"], np.array([[0.2, 0.8]]), None)
    assert submission_csv(predictions) == f"id,y\na,{written}\n".encode()


def test_nothing_predicted_is_refused() -> None:
    with pytest.raises(Refused, match="no predictions to submit"):
        submission(Predictions(Target("y", "regression"), "id", [], None, np.array([])))


def test_predictions_come_back_from_a_store(flower_checkpoint: Checkpoint, house_checkpoint: Checkpoint) -> None:
    store = open_store("memory:")
    for made in (predict_table(flower_checkpoint, TEST), predict_table(house_checkpoint, houses(9))):
        found = Predictions.from_stored(store.get(store.put(made.to_tree())))
        pd.testing.assert_frame_equal(found.to_frame(), made.to_frame())
        assert found.target == made.target


def test_rows_without_an_id_are_numbered() -> None:
    split = split_rows(flowers().drop(columns="flower_id"), "kind")
    found = predict_table(trained(split), TEST.drop(columns="flower_id"))
    assert found.to_frame()["row"].tolist() == list(range(30))
