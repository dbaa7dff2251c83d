"""Rows of a table to text, beside a loop over rows that writes the same."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.line import Line
from smalti.templates import TabularTextConverter, TextTemplateEngine

MILLION = 1_000_000
MOST_S = 10.0  # for a million rows
_PORTS = {"C": "Cherbourg", "Q": "Queenstown", "S": "Southampton"}
_LOOPED = 100_000  # rows of the loops: their time is proportional to the rows, and they are slow


@dataclass(frozen=True)
class Speeds:
    """Rows per second, medians of alternating rounds.

    Attributes:
        n_rows: of the table that was converted at once.
        template_pandas, template_arrow: the built-in template on a DataFrame and on an Arrow table.
        automatic: a converter that was fitted, on an Arrow table.
        loop: an f-string for each row of the DataFrame, the same text as the template's, on 100,000 rows.
        rows: ``convert_row`` for each row, on 1,000 rows.
        seconds: of the slowest round of the template on the DataFrame.
    """

    n_rows: int
    template_pandas: float
    template_arrow: float
    automatic: float
    loop: float
    rows: float
    seconds: float

    def lines(self) -> list[Line]:
        """Return the lines of the table: rows per second, and times those of the loop."""
        others = {
            "template, Arrow table": self.template_arrow,
            "fitted converter, Arrow table": self.automatic,
            "`convert_row` for each row": self.rows,
        }
        whole = f"{self.seconds:.1f} s in the slowest round; {self._words(self.template_pandas)}"
        return [
            Line(
                f"table to text, DataFrame of {self.n_rows:,} rows",
                f"{MOST_S:.0f} s",
                whole,
                self.seconds < MOST_S if self.n_rows >= MILLION else None,
            ),
            *(Line(f"the same, {what}", "", self._words(speed)) for what, speed in others.items()),
        ]

    def _words(self, speed: float) -> str:
        return f"{speed:,.0f} rows/s, {speed / self.loop:.2g} times those of an f-string for each row"


def passengers(n_rows: int, seed: int = 0) -> pd.DataFrame:
    """Return a table with the columns of Kaggle's Titanic; all names differ, and a fifth of the ages is missing."""
    rng = np.random.default_rng(seed)
    title = rng.choice(["Mr", "Mrs", "Miss", "Master", "Dr"], n_rows, p=[0.58, 0.14, 0.21, 0.05, 0.02])
    age = np.where(rng.random(n_rows) < 0.2, np.nan, rng.integers(1, 160, n_rows) / 2)
    cabin = np.where(rng.random(n_rows) < 0.77, None, rng.choice(["C85", "B28", "E46", "F G73"], n_rows))
    return pd.DataFrame(
        {
            "PassengerId": np.arange(1, n_rows + 1),
            "Survived": rng.integers(0, 2, n_rows),
            "Pclass": rng.integers(1, 4, n_rows),
            "Name": [f"Family{number}, {word}. Given Names" for number, word in enumerate(title)],
            "Sex": rng.choice(["male", "female"], n_rows),
            "Age": age,
            "SibSp": rng.integers(0, 6, n_rows),
            "Parch": rng.integers(0, 5, n_rows),
            "Fare": rng.integers(0, 5_000_000, n_rows) / 10_000,
            "Cabin": pd.Series(cabin, dtype="str"),
            "Embarked": rng.choice(["C", "Q", "S"], n_rows),
        }
    )


def looped(table: pd.DataFrame) -> list[str]:
    """Return the texts of ``titanic_v1`` as one would write them by hand, row after row."""
    texts = []
    for row in table.itertuples():
        title = row.Name.partition(", ")[2].partition(".")[0]
        age = "unknown" if math.isnan(row.Age) else f"{row.Age:.7g} years"
        deck = row.Cabin[0] if isinstance(row.Cabin, str) else "unknown"
        family = row.SibSp + row.Parch + 1
        texts.append(
            f"sex {row.Sex}, class {row.Pclass}, age {age}, fare {row.Fare:.7g} pounds, title {title}, "
            f"siblings or spouses {row.SibSp}, parents or children {row.Parch}, family size {family}, "
            f"alone {'yes' if family == 1 else 'no'}, deck {deck}, embarked {_PORTS[row.Embarked]}"
        )
    return texts


def measure(n_rows: int = MILLION, rounds: int = 3) -> Speeds:
    """Measure in alternating rounds in this process; refuse to go on if the loop and the template do not agree."""
    frame = passengers(n_rows)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    engine = TextTemplateEngine()
    converter = TabularTextConverter().fit(table.slice(0, 10_000), target="Survived")
    few, some = frame.iloc[:_LOOPED], [frame.iloc[at] for at in range(min(n_rows, 1000))]
    if looped(few) != engine.convert_data(few, "titanic_v1"):
        raise AssertionError("the loop and the template write different texts")
    tasks: dict[str, tuple[int, Callable[[], object]]] = {
        "template_pandas": (n_rows, lambda: engine.convert_data(frame, "titanic_v1")),
        "template_arrow": (n_rows, lambda: engine.convert_data(table, "titanic_v1")),
        "automatic": (n_rows, lambda: converter.transform(table)),
        "loop": (len(few), lambda: looped(few)),
        "rows": (len(some), lambda: [engine.convert_row(row, "titanic_v1") for row in some]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, (_, task) in tasks.items():
            start = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - start)
    speeds = {name: n / statistics.median(seconds[name]) for name, (n, _) in tasks.items()}
    return Speeds(n_rows, **speeds, seconds=max(seconds["template_pandas"]))
