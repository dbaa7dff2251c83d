"""Predictions as values: labels or numbers with the ids of their rows, and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import Refused
from smalti.tabular.target import Label, Target

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, slots=True)
class Predictions:
    """N predictions.

    Attributes:
        target: what is predicted.
        id_column: the column that names rows.
        ids: (N,) of the rows, in their order.
        probabilities: (N, K) float64 of the classes in their order; None of a regression.
        numbers: (N,) float64 of a regression, else None.
    """

    target: Target
    id_column: str
    ids: list[Any]
    probabilities: NDArray[np.float64] | None
    numbers: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def codes(self) -> NDArray[np.int64]:
        """(N,) the place of the likeliest class, the first of equals.

        Raises:
            Refused: these are predictions of a regression.
        """
        if self.probabilities is None:
            raise Refused(f"predictions of the number {self.target.column} have no classes; look at ``numbers``.")
        places: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return places

    @property
    def labels(self) -> list[Label]:
        """(N,) the likeliest class as it is in the training table, or the number, rounded if all were whole there."""
        if self.numbers is not None:
            return [round(n) for n in self.numbers.tolist()] if self.target.whole else self.numbers.tolist()
        return [self.target.classes[code] for code in self.codes]

    def to_tree(self) -> dict[str, Any]:
        """Return what the store takes: a table of ``id`` and ``prediction``, and the arrays."""
        import pandas as pd

        values = {"probabilities": self.probabilities, "numbers": self.numbers}
        return {
            "predictions": pd.DataFrame({"id": self.ids, "prediction": self.labels}),
            **{name: array for name, array in values.items() if array is not None},
            "target": self.target.to_json(),
            "id_column": self.id_column,
        }

    @classmethod
    def from_stored(cls, tree: Mapping[str, Any]) -> Predictions:
        """Return the predictions that were stored."""
        ids = tree["predictions"]["id"].tolist()
        target = Target.from_json(tree["target"])
        return cls(target, tree["id_column"], ids, tree.get("probabilities"), tree.get("numbers"))

    def to_frame(self) -> pd.DataFrame:
        """Return a table of the id, the prediction under the target's name and, of classes, ``probability <class>``."""
        import pandas as pd

        columns: dict[str, Any] = {self.id_column: self.ids, self.target.column: self.labels}
        if self.probabilities is not None:
            columns |= {
                f"probability {label}": self.probabilities[:, place] for place, label in enumerate(self.target.classes)
            }
        return pd.DataFrame(columns)
