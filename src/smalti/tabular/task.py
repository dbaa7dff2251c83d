"""The training task of a split table: batches of texts of similar length, loss, and metrics of the validation rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from numpy.typing import NDArray

from smalti.canonical import Json
from smalti.errors import Refused
from smalti.models.bert import BertConfig
from smalti.tabular.evaluate.metrics import classification_metrics, regression_metrics
from smalti.tabular.linear import fit_linear
from smalti.tabular.network import TableNetwork, network_config
from smalti.tabular.settings import BertSettings
from smalti.tabular.split import LABEL, TEXT, TextSplit
from smalti.tabular.target import TargetScale, learn_target_scale
from smalti.tabular.tokens.encoding import UNKNOWN_ID, EncodedTexts, learn_encoder

Indexes = NDArray[np.int64]

LENGTH_GROUPS = 4  # at most, so that few shapes are compiled
ROWS_AT_ONCE = 256


class TableTask:
    """The ``smalti.training.loop.Task`` of one split: everything is learned from its training rows.

    Attributes:
        encoder: of texts.
        scale: of the target of a regression, else None.
        notes: what a person should know, in sentences: how many texts are cut.

    Raises:
        Refused: the target is the same in every training row.
    """

    separable = True

    def __init__(self, split: TextSplit, settings: BertSettings) -> None:
        self._settings, self._target = settings, split.target
        texts = split.train[TEXT].tolist()
        self.encoder = learn_encoder(
            texts,
            settings.min_count,
            settings.max_distinct,
            settings.bins,
            settings.max_vocabulary,
            settings.max_length,
        )
        self.tokenizer: str = self.encoder.tokenizer().to_str()
        labels = self._target.codes(split.train[LABEL].tolist())
        self.scale: TargetScale | None = learn_target_scale(labels) if self._target.is_regression else None
        self._train = self.encoder.encode(texts)
        self._labels = labels if self.scale is None else self.scale.standardised(labels).astype(np.float32)
        if self.scale is None and len(np.unique(labels)) < 2:
            raise Refused(f"{self._target.column} is the same in every training row; there is nothing to be learned.")
        self._validation = self.encoder.encode(split.validation[TEXT])
        self._validation_labels = self._target.codes(split.validation[LABEL].tolist())
        self._groups = by_length(self._train.lengths, settings.batch)
        self._padded_to = np.zeros(len(texts), np.int64)
        for rows in self._groups:
            self._padded_to[rows] = self._train.lengths[rows].max()
        cut = self._train.truncated + self._validation.truncated
        of = f"{cut} of {len(self._train) + len(self._validation)} texts"
        longer = f"{of} are longer than {settings.max_length} tokens and are cut; max_length is a setting."
        self.notes = (longer,) if cut else ()
        self._config = self._model_config(split)

    @property
    def model_config(self) -> Mapping[str, Json]:
        return self._config

    def build(self) -> TableNetwork:
        network = TableNetwork(self._bert_config(), self._settings.members, self._settings.linear_share)
        if self._settings.linear_share:
            classes = None if self._target.is_regression else len(self._target.classes)
            merged = self.encoder.without_bins()
            network.linear.set(fit_linear(self._train, merged, self._labels, classes, self._settings.seed))
        return network

    def order(self, rng: np.random.Generator) -> Sequence[Indexes]:
        batches: list[Indexes] = []
        for rows in self._groups:
            shuffled = rng.permutation(rows)
            batches += [shuffled[i : i + self._settings.batch] for i in range(0, len(rows), self._settings.batch)]
        return [batches[i] for i in rng.permutation(len(batches))]

    def batch(self, samples: Indexes) -> tuple[NDArray[Any], ...]:
        """Return ids and numbers, both (B, L), and (B,) labels; L is that of the longest text of the length group."""
        return *self._train.padded(samples, int(self._padded_to[samples].max())), self._labels[samples]

    def loss(self, network: TableNetwork, *arrays: mx.array) -> mx.array:
        """Return the mean over members and rows of the cross-entropy, or of the squared error."""
        ids, numbers, labels = arrays
        if self._settings.unknown:
            hidden = mx.random.bernoulli(self._settings.unknown, ids.shape) & (ids > UNKNOWN_ID)
            ids, numbers = mx.where(hidden, UNKNOWN_ID, ids), mx.where(hidden, 0.0, numbers)
        outputs = network(ids, numbers)  # (members, B, labels)
        if self.scale is not None:
            return mx.square(outputs[..., 0] - labels).mean()
        smoothing = self._settings.label_smoothing
        losses = [nn.losses.cross_entropy(each, labels, label_smoothing=smoothing) for each in outputs]
        return mx.stack(losses).mean()

    def evaluate(self, network: TableNetwork) -> Mapping[str, float]:
        """Return the metrics of the prediction; the validation loss is the log loss or, standardised, the MSE."""
        outputs = predict_outputs(network, self._validation)
        if self.scale is None:
            metrics = classification_metrics(outputs, self._validation_labels)
            return {"validation_loss": metrics["log_loss"], **metrics}
        error = outputs - self.scale.standardised(self._validation_labels)
        metrics = regression_metrics(self.scale.numbers(outputs), self._validation_labels, self.scale.logarithmic)
        return {"validation_loss": float(np.mean(error**2)), **metrics}

    def _bert_config(self) -> BertConfig:
        chosen = self._settings
        labels = tuple(map(str, self._target.classes)) or (self._target.column,)
        return BertConfig(
            architecture="BertForSequenceClassification",
            labels=labels,
            problem_type="regression" if self._target.is_regression else "single_label_classification",
            vocab_size=len(self.encoder.vocabulary),
            hidden_size=chosen.hidden_size,
            num_hidden_layers=chosen.layers,
            num_attention_heads=chosen.heads,
            intermediate_size=chosen.intermediate_size,
            hidden_act="relu",
            hidden_dropout_prob=chosen.dropout,
            attention_probs_dropout_prob=0.0,
            max_position_embeddings=chosen.max_length,
            type_vocab_size=1,
            initializer_range=0.1,
            layer_norm_eps=1e-5,
            norm="pre",
            number_values=True,
        )

    def _model_config(self, split: TextSplit) -> dict[str, Json]:
        return {
            **network_config(self._bert_config(), self._settings.members, self._settings.linear_share),
            "table": {
                "target": self._target.to_json(),
                "id_column": split.id_column,
                "template": dict(split.template),
                "encoder": self.encoder.to_json(),
                "target_scale": None if self.scale is None else self.scale.to_json(),
                "settings": asdict(self._settings),
            },
        }


def by_length(lengths: Indexes, batch: int) -> list[Indexes]:
    """Return the rows in groups of similar length, each of several batches, so that little is padding."""
    order = np.argsort(lengths, kind="stable")
    groups = int(min(LENGTH_GROUPS, max(1, len(order) // (4 * batch)), lengths.max() - lengths.min() + 1))
    return [np.sort(rows) for rows in np.array_split(order, groups)]


def predict_outputs(network: TableNetwork, texts: EncodedTexts) -> NDArray[np.float64]:
    """Return (N, classes) probabilities, or the (N,) standardised target of a regression."""
    found = []
    for rows in np.array_split(np.argsort(texts.lengths, kind="stable"), max(1, -(-len(texts) // ROWS_AT_ONCE))):
        predicted = network.predict(*map(mx.array, texts.padded(rows, int(texts.lengths[rows].max(initial=1)))))
        found.append((rows, np.array(predicted, dtype=np.float64)))
    made = np.empty((len(texts), found[0][1].shape[1]))
    for rows, values in found:
        made[rows] = values
    return made[:, 0] if network.regression else made
