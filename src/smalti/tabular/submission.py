"""A submission in Kaggle's format: the id column and the target, in the order of the test table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.errors import Refused
from smalti.tabular.predictions import Predictions

if TYPE_CHECKING:
    import pandas as pd


def submission(predictions: Predictions) -> pd.DataFrame:
    """Return the table to submit: one row for each row of the test table, labels as they are in the training table.

    Raises:
        Refused: there is none.
    """
    import pandas as pd

    if not len(predictions):
        raise Refused("there are no predictions to submit; predict the rows of a test table first.")
    return pd.DataFrame({predictions.id_column: predictions.ids, predictions.target.column: predictions.labels})


def submission_csv(predictions: Predictions) -> bytes:
    """Return the same as the CSV file, truth values as ``True`` and ``False``; raises as ``submission``."""
    return submission(predictions).to_csv(index=False, lineterminator="\n").encode()
