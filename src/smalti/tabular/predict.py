"""Predictions of a trained checkpoint, from texts or from a raw table: the checkpoint alone is enough."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from smalti.codecs.checkpoint import Checkpoint
from smalti.errors import Refused
from smalti.tabular.network import from_config
from smalti.tabular.predictions import Predictions
from smalti.tabular.split import ROW, as_frame, read_columns, require_ids
from smalti.tabular.target import Target, TargetScale
from smalti.tabular.task import predict_outputs
from smalti.tabular.tokens.encoding import TextEncoder
from smalti.training.tensors import load_weights


def predict_texts(checkpoint: Checkpoint, texts: Sequence[str], ids: Sequence[Any]) -> Predictions:
    """Return a prediction for each text.

    Args:
        texts: as the checkpoint's template writes them.
        ids: of the rows.

    Raises:
        Refused: there are no texts, the checkpoint is of another network, or its weights do not fit its config.
    """
    if not texts:
        raise Refused("there are no texts to predict; give at least one.")
    network = from_config(checkpoint.config)
    load_weights(network, checkpoint.model)
    network.eval()
    table: Any = checkpoint.config["table"]
    target = Target.from_json(table["target"])
    encoded = TextEncoder.from_json(table["encoder"], checkpoint.tokenizer).encode(texts)
    if encoded.truncated:
        warnings.warn(
            f"{encoded.truncated} of {len(encoded)} texts are longer than {table['encoder']['max_length']} tokens "
            "and are cut; train with a larger max_length to have them read whole.",
            stacklevel=2,
        )
    outputs = predict_outputs(network, encoded)
    if not target.is_regression:
        return Predictions(target, table["id_column"], list(ids), outputs, None)
    numbers = TargetScale(**table["target_scale"]).numbers(outputs)
    return Predictions(target, table["id_column"], list(ids), None, np.asarray(numbers))


def predict_table(checkpoint: Checkpoint, table: Any) -> Predictions:
    """Return a prediction for each row of a raw table, in its order.

    Columns that were not in the training table are not looked at; categories that were not are predicted as unknown.

    Args:
        table: a DataFrame or pyarrow Table with the columns that the training table had, but for the target.

    Raises:
        Refused: the table is empty, a column is missing or holds another kind of value than in training, ids repeat or
            are missing, or what ``predict_texts`` refuses.
    """
    from smalti.templates import TabularTextConverter

    frame = as_frame(table, "the table to predict")
    if not len(frame):
        raise Refused("the table to predict has no rows; give the rows to be predicted.")
    trained: Any = checkpoint.config.get("table")
    if trained is None:
        from_config(checkpoint.config)  # refuses, and says what it is
    id_column = trained["id_column"]
    if id_column != ROW:
        if id_column not in frame:
            raise Refused(
                f"the table to predict has no column {id_column!r}, which names its rows; it has "
                f"{', '.join(map(str, frame.columns))}."
            )
        require_ids(frame, id_column, "table to predict")
    converter = TabularTextConverter.from_config(trained["template"])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="categories not seen")
        texts = converter.transform(read_columns(trained["template"], frame))
    ids = list(range(len(frame))) if id_column == ROW else frame[id_column].tolist()
    return predict_texts(checkpoint, texts, ids)
