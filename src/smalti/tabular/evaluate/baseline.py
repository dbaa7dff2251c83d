"""What BERT has to beat: a linear model of the same clauses, and the answer that does not look at a row."""

from __future__ import annotations

import numpy as np

from smalti.tabular.linear import fit_linear
from smalti.tabular.predictions import Predictions
from smalti.tabular.split import ID, LABEL, TEXT, TextSplit
from smalti.tabular.target import TargetScale, learn_target_scale
from smalti.tabular.tokens.encoding import learn_encoder

LONGEST = 1_024  # tokens of a text that are looked at


def linear_baseline(split: TextSplit) -> tuple[str, Predictions]:
    """Return the name of the linear model, and its predictions of the validation rows, fitted to the training rows.

    It is that of :mod:`smalti.tabular.linear`, with every clause a token, however rare.
    """
    texts = split.train[TEXT].tolist()
    encoder = learn_encoder(texts, min_count=1, max_length=LONGEST)
    train, validation = encoder.encode(texts), encoder.encode(split.validation[TEXT])
    labels, ids = split.target.codes(split.train[LABEL].tolist()), split.validation[ID].tolist()
    merged = encoder.without_bins()
    if split.target.is_regression:
        scale = learn_target_scale(labels)
        model = fit_linear(train, merged, scale.standardised(labels), None, split.seed)
        numbers = scale.numbers(model.outputs(validation)[:, 0])
        return "ridge regression", Predictions(split.target, split.id_column, ids, None, numbers)
    model = fit_linear(train, merged, labels, len(split.target.classes), split.seed)
    logits = model.outputs(validation)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
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
