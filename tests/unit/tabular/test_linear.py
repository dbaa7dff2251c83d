"""The linear model: what scikit-learn gives of the same features, whatever rows and classes there are."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.tabular import linear
from smalti.tabular.linear import fit_linear
from smalti.tabular.split import TextSplit
from smalti.tabular.tokens.encoding import learn_encoder

TEXTS = [f"colour {c}, size {n} cm" for n in range(40) for c in ("red", "blue", "white")]


def test_a_number_and_a_category_are_added() -> None:
    encoder = learn_encoder(TEXTS)
    texts = encoder.encode(TEXTS)
    truth = np.array([0.5 * n + 3 * (c == 1) for n in range(40) for c in range(3)])
    found = fit_linear(texts, encoder.without_bins(), truth, None, seed=0).outputs(texts)
    np.testing.assert_allclose(found[:, 0], truth, atol=0.05)


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_are_told_apart(classes: int) -> None:
    encoder = learn_encoder(TEXTS)
    texts = encoder.encode(TEXTS)
    labels = np.array([min(c, classes - 1) for _ in range(40) for c in range(3)], np.int32)
    found = fit_linear(texts, encoder.without_bins(), labels, classes, seed=0).outputs(texts)
    assert found.shape == (120, classes)
    assert (found.argmax(axis=1) == labels).all()


def test_texts_that_do_not_differ_give_the_frequencies() -> None:
    encoder = learn_encoder(["colour red"] * 40)
    texts = encoder.encode(["colour red"] * 40)
    labels = np.array([0] * 30 + [1] * 10, np.int32)
    logits = fit_linear(texts, encoder.without_bins(), labels, 2, seed=0).outputs(texts)
    odds = np.exp(logits)
    np.testing.assert_allclose((odds / odds.sum(axis=1, keepdims=True))[0], [0.75, 0.25])
    numbers = fit_linear(texts, encoder.without_bins(), labels.astype(float), None, seed=0).outputs(texts)
    np.testing.assert_allclose(numbers, 0.25)


def test_every_class_is_fitted_even_where_rows_are_drawn(
    monkeypatch: pytest.MonkeyPatch, flower_split: TextSplit
) -> None:
    monkeypatch.setattr(linear, "ROWS_AT_MOST", 10)
    texts = flower_split.train["text"].tolist()
    encoder = learn_encoder(texts)
    labels = np.array([0] * 94 + [1, 2], np.int32)
    encoded = encoder.encode(texts)
    assert fit_linear(encoded, encoder.without_bins(), labels, 3, seed=0).outputs(encoded).shape == (96, 3)
