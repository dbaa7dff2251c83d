"""Small tables with a rule that can be learned, and predictions that are right."""

from __future__ import annotations

import numpy as np
import pandas as pd

from smalti.tabular.predictions import Predictions
from smalti.tabular.split import TextSplit


def flowers(rows: int = 120, seed: int = 0) -> pd.DataFrame:
    """Return a table in which colour and size tell ``kind``, a text of three classes."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, rows)
    return pd.DataFrame(
        {
            "flower_id": np.arange(1000, 1000 + rows),
            "colour": np.array(["red", "blue", "white"])[(kind + (rng.random(rows) < 0.1)) % 3],
            "size_cm": np.round(kind * 2 + rng.normal(size=rows), 2),
            "petals": rng.integers(3, 8, rows),
            "kind": np.array(["aster", "iris", "tulip"])[kind],
        }
    )


def houses(rows: int = 120, seed: int = 0) -> pd.DataFrame:
    """Return a table in which area and town tell ``price``, skewed to the right."""
    rng = np.random.default_rng(seed)
    area, town = rng.normal(100, 30, rows).clip(20), rng.integers(0, 2, rows)
    price = np.exp(0.02 * area + 0.5 * town + 0.1 * rng.normal(size=rows)) * 1e5
    return pd.DataFrame(
        {
            "Id": np.arange(rows),
            "area_m2": area.round(1),
            "town": np.array(["Ames", "Boone"])[town],
            "price": price.round().astype(int),
        }
    )


def perfect(split: TextSplit) -> Predictions:
    """Return predictions of the validation rows that are right and sure."""
    truth, ids = split.target.codes(split.validation["label"].tolist()), split.validation["id"].tolist()
    if split.target.is_regression:
        return Predictions(split.target, split.id_column, ids, None, truth)
    return Predictions(split.target, split.id_column, ids, np.eye(len(split.target.classes))[truth], None)
