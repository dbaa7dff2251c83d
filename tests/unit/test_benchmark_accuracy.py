"""The comparison of accuracy: both sides see the same folds, and BERT not the target of what it predicts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.data import accuracy


def table(rows: int = 60) -> pd.DataFrame:
    """Return a table in which ``x`` and ``town`` tell ``price``."""
    rng = np.random.default_rng(0)
    x, town = rng.normal(size=rows), rng.integers(0, 2, rows)
    return pd.DataFrame({"x": x, "town": np.array(["Ames", "Boone"])[town], "price": np.exp(x + town)})


def test_every_row_is_predicted_once_from_the_others() -> None:
    seen: list[int] = []

    def predict(train: pd.DataFrame, test: pd.DataFrame, target: str) -> np.ndarray:
        assert target not in test
        assert len(train) + len(test) == 60
        assert not set(train.index) & set(test.index)
        seen.extend(test.index)
        return np.exp(test["x"].to_numpy())

    given = table()
    features = {"ridge": given.drop(columns="price")}
    found = accuracy.compare(given, "price", features, accuracy._rmse_log, predict=predict)
    assert sorted(seen) == list(range(60))
    assert len(found.bert) == len(found.linear["ridge"]) == 5
    assert max(found.linear["ridge"]) < 0.1 < min(found.bert)


def test_accuracy_is_that_of_labels() -> None:
    given = table().assign(price=lambda t: (t["x"] > 0).astype(int))
    found = accuracy.compare(
        given,
        "price",
        {"logistic": given[["x"]]},
        accuracy._accuracy,
        2,
        lambda _, test, __: (test["x"] > 0).to_numpy(),
    )
    assert found.bert == [1.0] * 10
    assert min(found.linear["logistic"]) > 0.8
    assert "1.0000 ± 0.0000 against" in found.in_words("logistic")


def test_the_features_of_the_titanic_are_what_people_take(titanic_paths: tuple[object, object]) -> None:
    made = accuracy._titanic_features(pd.read_csv(titanic_paths[0]))  # type: ignore[call-overload]
    assert set(made["title"]) == {"Mr", "Mrs", "Miss", "Master", "rare"}
    assert not made.drop(columns="Age").isna().any().any()


def test_without_the_peers_there_are_the_lines_of_the_titanic_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy, "titanic", lambda path: [path.name])
    assert accuracy.measure(None) == ["titanic_train.csv"]
