"""What BERT has to beat: a linear model from scikit-learn of the same clauses, and the answer that ignores the row.

The linear model is given each category as one-hot, each number standardised, and numbers of few distinct values both
ways: logistic regression with scikit-learn's defaults, or ridge with the regularisation chosen by cross-validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.tabular.predictions import Predictions
from smalti.tabular.split import ID, LABEL, TEXT, TextSplit
from smalti.tabular.target import TargetScale, learn_target_scale
from smalti.tabular.tokens.encoding import PADDING_ID, TextEncoder, learn_encoder

ROWS_AT_MOST = 20_000  # that are trained on: a linear model gains little from more
TOKENS_AT_MOST = 1_000
TEXT_TOKENS_AT_MOST = 1_024
ALPHAS = np.logspace(-2, 4, 25)
FOLDS = 5


def linear_baseline(split: TextSplit) -> tuple[str, Predictions]:
    """Return the name of the linear model, and its predictions of the validation rows, trained on the training rows.

    Of more than ``ROWS_AT_MOST`` training rows, that many are drawn with the seed of the split.
    """
    train = split.train
    if len(train) > ROWS_AT_MOST:
        train = train.iloc[np.sort(np.random.default_rng(split.seed).permutation(len(train))[:ROWS_AT_MOST])]
    encoder = learn_encoder(
        train[TEXT].tolist(), min_count=1, max_vocabulary=TOKENS_AT_MOST, max_length=TEXT_TOKENS_AT_MOST
    )
    features = _standardised(encoder, train[TEXT].tolist(), split.validation[TEXT].tolist())
    labels, ids = split.target.codes(train[LABEL].tolist()), split.validation[ID].tolist()
    if split.target.is_regression:
        scale = learn_target_scale(labels)
        numbers = scale.numbers(_ridge(*features, scale.standardised(labels)))
        return "ridge regression", Predictions(split.target, split.id_column, ids, None, numbers)
    probabilities = _logistic(*features, labels, len(split.target.classes))
    return "logistic regression", Predictions(split.target, split.id_column, ids, probabilities, None)


def constant_baseline(split: TextSplit) -> tuple[str, Predictions]:
    """Return the same of the model that does not look at a row: the frequencies of the classes, or the mean number.

    The mean is that of what BERT learns, so it may be one of logarithms.
    """
    labels, ids = split.target.codes(split.train[LABEL].tolist()), split.validation[ID].tolist()
    if split.target.is_regression:
        scale: TargetScale = learn_target_scale(labels)
        return "mean", Predictions(split.target, split.id_column, ids, None, scale.numbers(np.zeros(len(ids))))
    share = np.bincount(labels, minlength=len(split.target.classes)) / len(labels)
    return "most frequent class", Predictions(split.target, split.id_column, ids, np.tile(share, (len(ids), 1)), None)


def _standardised(
    encoder: TextEncoder, train: Sequence[str], other: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the features of both, (N, F): columns that vary in ``train``, standardised by their numbers as well."""
    first, second = _features(encoder, train), _features(encoder, other)
    varies = first.std(axis=0) > 0
    return first[:, varies], second[:, varies]


def _features(encoder: TextEncoder, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return (N, 2 V): how often each token occurs, and the standardised number beside it."""
    encoded, tokens = encoder.encode(texts), len(encoder.vocabulary)
    made = np.zeros((len(encoded), 2 * tokens))
    rows = np.repeat(np.arange(len(encoded)), encoded.lengths)
    np.add.at(made, (rows, encoded.ids), 1.0)
    np.add.at(made, (rows, tokens + encoded.ids), encoded.numbers)
    made[:, PADDING_ID] = 0
    return made


def _logistic(
    train: NDArray[np.float64], other: NDArray[np.float64], codes: NDArray[Any], classes: int
) -> NDArray[np.float64]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=2000).fit(train, codes)
    probabilities = np.zeros((len(other), classes))
    probabilities[:, model.classes_] = model.predict_proba(other)
    return probabilities


def _ridge(train: NDArray[np.float64], other: NDArray[np.float64], numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    from sklearn.linear_model import RidgeCV

    predicted: NDArray[np.float64] = RidgeCV(ALPHAS).fit(train, numbers).predict(other)
    return predicted
