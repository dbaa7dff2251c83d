"""A linear model of which tokens occur in a text and of the numbers beside them: logistic or ridge regression.

Each category is one-hot, each number standardised, numbers of few distinct values both. Bins are not told apart: they
would be fitted to chance. scikit-learn fits it: logistic regression with its defaults, ridge with the regularisation
chosen by leave-one-out among ``ALPHAS``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.tabular.tokens.encoding import FIRST_ID, PADDING_ID, EncodedTexts

ALPHAS = np.logspace(-2, 4, 25)
ROWS_AT_MOST = 10_000  # that are fitted: a linear model gains little from more
TOKENS_AT_MOST = 1_000  # the most frequent; the weights of others are 0


@dataclass(frozen=True, eq=False, slots=True)
class LinearModel:
    """The weights; the intercept is that of ``[CLS]``, with which every text begins.

    Attributes:
        occurrence: (V, K) float64, what a token adds to each of K outputs: logits, or one standardised number.
        number: (V, K) float64, what the number beside it adds, times that number.
    """

    occurrence: NDArray[np.float64]
    number: NDArray[np.float64]

    def outputs(self, texts: EncodedTexts) -> NDArray[np.float64]:
        """Return (N, K) float64."""
        terms = self.occurrence[texts.ids] + texts.numbers[:, None] * self.number[texts.ids]
        return np.add.reduceat(terms, texts.starts[:-1], axis=0)


def fit_linear(
    texts: EncodedTexts, merged: NDArray[np.int64], labels: NDArray[Any], classes: int | None, seed: int
) -> LinearModel:
    """Return the model fitted to training texts.

    Of more than ``ROWS_AT_MOST`` rows, that many are drawn with the seed, and one of each class beside them.

    Args:
        merged: (V,) the token whose weights each token has, as ``TextEncoder.without_bins`` returns them.
        labels: (N,) class from 0, each of them in a row; or standardised numbers.
        classes: K; None of a regression, which has one output.
    """
    rows = _some(labels, classes, seed)
    tokens = min(len(merged), TOKENS_AT_MOST)
    features = _features(replace(texts, ids=merged[texts.ids].astype(np.int32)), rows, tokens)
    varies = features.std(axis=0) > 0
    weights = np.zeros((2 * tokens, classes or 1))
    weights[varies], intercept = _fit(features[:, varies], labels[rows], classes)
    made = np.zeros((2, len(merged), classes or 1))
    made[:, :tokens] = weights.reshape(2, tokens, -1)
    made[0, FIRST_ID] += intercept
    return LinearModel(*made[:, merged])


def _some(labels: NDArray[Any], classes: int | None, seed: int) -> NDArray[np.int64]:
    drawn = np.random.default_rng(seed).permutation(len(labels))[:ROWS_AT_MOST]
    if classes is not None:
        drawn = np.union1d(drawn, np.unique(labels, return_index=True)[1])
    return np.sort(drawn).astype(np.int64)


def _features(texts: EncodedTexts, rows: NDArray[np.int64], tokens: int) -> NDArray[np.float64]:
    """Return (rows, 2 tokens): how often each token occurs, and the sum of the numbers beside it."""
    ids, numbers = texts.padded(rows, int(texts.lengths[rows].max()))
    places = np.broadcast_to(np.arange(len(rows))[:, None], ids.shape)
    counted = (ids != PADDING_ID) & (ids < tokens)
    made = np.zeros((2, len(rows), tokens))
    for features, added in zip(made, (np.ones_like(numbers), numbers), strict=True):
        np.add.at(features, (places[counted], ids[counted]), added[counted])
    return np.hstack(list(made))


def _fit(
    features: NDArray[np.float64], labels: NDArray[Any], classes: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (F, K) weights and (K,) intercepts."""
    from sklearn.linear_model import LogisticRegression, RidgeCV

    if not features.shape[1]:
        shares = [labels.mean()] if classes is None else np.log(np.bincount(labels, minlength=classes) / len(labels))
        return np.zeros((0, classes or 1)), np.asarray(shares)
    if classes is None:
        ridge = RidgeCV(ALPHAS).fit(features, labels)
        return ridge.coef_[:, None], np.array([ridge.intercept_])
    logistic = LogisticRegression(max_iter=2000).fit(features, labels)
    weights, intercept = logistic.coef_.T, logistic.intercept_
    if classes == 2:
        return np.hstack([-weights, weights]) / 2, np.concatenate([-intercept, intercept]) / 2
    return weights, intercept
