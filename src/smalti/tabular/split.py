"""A table as texts with labels, split in training and validation rows, with the texts of a test table beside them."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.canonical import Json
from smalti.errors import Refused
from smalti.tabular.target import Label, Target, find_target, labels_of

if TYPE_CHECKING:
    import pandas as pd

    from smalti.templates.columns import TableDescription

SURE_ID = 0.9  # confidence from which a column is an id, which tells nothing of other rows
ROW = "row"  # the id of a row, its number from 0, where no column is one
ID, TEXT, LABEL = "id", "text", "label"


@dataclass(frozen=True, eq=False, slots=True)
class TextSplit:
    """Texts and labels, split; what a sweep of many settings shares.

    Attributes:
        train, validation: DataFrames of ``id``, ``text`` and ``label``; every row that has a label is in one of them.
        test: DataFrame of ``id`` and ``text`` in the order of the test table; None where there was none.
        target: what is predicted.
        id_column: the column ``id`` was; ``row`` where the table had none.
        template: the converter that made the texts, learned from the training rows, as ``to_config`` gives it.
        notes: what a person should know, in sentences, e.g. how many rows were left out and why.
        validation_fraction, seed: of the split.
    """

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame | None
    target: Target
    id_column: str
    template: Mapping[str, Json]
    notes: tuple[str, ...]
    validation_fraction: float
    seed: int

    def to_tree(self) -> dict[str, Any]:
        """Return what the store takes: tables and JSON; see ``from_stored``."""
        tables = {"train": self.train, "validation": self.validation}
        return {
            **tables,
            **({} if self.test is None else {"test": self.test}),
            "target": self.target.to_json(),
            "id_column": self.id_column,
            "template": dict(self.template),
            "notes": list(self.notes),
            "validation_fraction": self.validation_fraction,
            "seed": self.seed,
        }

    @classmethod
    def from_stored(cls, tree: Mapping[str, Any]) -> TextSplit:
        """Return the split that was stored.

        Raises:
            Refused: it is something else.
        """
        try:
            target, notes = Target.from_json(tree["target"]), tuple(tree["notes"])
            return cls(**{**tree, "test": tree.get("test"), "target": target, "notes": notes})
        except (KeyError, TypeError) as error:
            raise Refused(
                f"this is no split of a table ({error}); give what split_rows made, stored as to_tree() gives it."
            ) from error


def split_rows(
    table: Any,
    target: str | None = None,
    test: Any | None = None,
    *,
    validation_fraction: float = 0.1,
    seed: int = 0,
    competition_type: str | None = None,
    id_column: str | None = None,
    template: str | None = None,
    validates: NDArray[np.bool_] | None = None,
) -> TextSplit:
    """Return a table's rows as texts and labels, split; the same arguments give the same split.

    Classes are in both parts in the same proportion, as far as their rows allow; a class of one row is trained on.
    Texts are written as the training rows alone tell.

    Args:
        table, test: DataFrames or pyarrow Tables; ``test`` lacks the target, or it is not looked at.
        target: the column to be predicted; None, it has to be clear.
        competition_type: one of ``COMPETITION_TYPES``; None, it has to be clear.
        id_column: the column that names rows; None, one that is an id in both tables, or else the row number.
        template: the name of a built-in text template; None, one whose columns are all there, else an automatic one.
        validates: (N,) whether a row validates, instead of ``validation_fraction`` and ``seed``.

    Raises:
        NotFound: there is no such column or template.
        Refused: the target or the kind of competition is not clear, or cannot be learned; no column is left to learn
            from; ids repeat or are missing; the test table is empty or lacks columns; or there are fewer than two rows.
    """
    from smalti.templates import describe_columns

    table, test = as_frame(table, "the table"), None if test is None else as_frame(test, "the test table")
    if not 0 < validation_fraction < 1:
        raise Refused(f"validation_fraction is {validation_fraction}; give a number between 0 and 1.")
    if test is not None and not len(test):
        raise Refused("the test table has no rows; give the rows to be predicted, or no test table.")
    description = describe_columns(table, test, target)
    if description.target is None:
        raise Refused(
            f"{description.competition_reason}; say which column is to be predicted: with target=, or in the card of "
            "the file (table: {target: NAME})."
        )
    labels = labels_of(_values(table, description.target))
    kept = np.array([place for place, label in enumerate(labels) if label is not None], np.int64)
    present: list[Label] = [label for label in labels if label is not None]
    found = find_target(description, present, competition_type)
    notes = [_left_out(found.column, len(labels) - len(kept))] if len(kept) < len(labels) else []

    if validates is None:
        validates = hold_out(found.codes(present), validation_fraction, seed, stratified=not found.is_regression)
    else:
        validates, validation_fraction = validates[kept], float(validates[kept].mean())
    counts = Counter(present)
    if alone := [label for label in found.classes if counts[label] == 1]:
        notes.append(f"{found.column} {', '.join(map(str, alone))} occurs in one row only, which is trained on.")
    chosen_id = _id_column(description, table, test, id_column)
    ids = _values(table, chosen_id) if chosen_id != ROW else list(range(len(table)))
    rows = {"train": kept[~validates], "validation": kept[validates]}
    told = [column.name for column in description.columns if column.role != "id" or column.confidence < SURE_ID]
    parts = {name: table.iloc[of][told] for name, of in rows.items()}
    texts, config, said = _texts(parts, test, found.column, template)

    def part(name: str) -> pd.DataFrame:
        of = rows[name]
        return _frame({ID: [ids[i] for i in of], TEXT: texts[name], LABEL: [labels[i] for i in of]})

    tested = None
    if test is not None:
        test_ids = _values(test, chosen_id) if chosen_id != ROW else list(range(len(test)))
        tested = _frame({ID: test_ids, TEXT: texts["test"]})
    return TextSplit(
        part("train"),
        part("validation"),
        tested,
        found,
        chosen_id,
        config,
        (*notes, *said),
        validation_fraction,
        seed,
    )


def hold_out(codes: NDArray[Any], fraction: float, seed: int, stratified: bool) -> NDArray[np.bool_]:
    """Return (N,) whether a row is held out; some are and some are not.

    Args:
        codes: (N,) the class of each row, if ``stratified``.

    Raises:
        Refused: fewer than two rows, or only classes of one row each.
    """
    rng = np.random.default_rng(seed)
    held = np.zeros(len(codes), bool)
    classes = np.unique(codes) if stratified else [None]
    members = [np.flatnonzero(codes == one) if stratified else np.arange(len(codes)) for one in classes]
    wanted = min(max(round(fraction * len(codes)), 1), len(codes) - 1)
    shares = [fraction * len(rows) for rows in members]
    most = [min(math.ceil(share), len(rows) - 1) for share, rows in zip(shares, members, strict=True)]
    takes = [min(int(share), limit) for share, limit in zip(shares, most, strict=True)]
    for i in sorted(range(len(members)), key=lambda i: (takes[i] - shares[i], i)):  # largest remainder first
        takes[i] += takes[i] < most[i] and sum(takes) < wanted
    if not sum(takes):
        raise Refused(
            f"{len(codes)} rows of {len(members)} classes leave none to validate with, when one of each class is "
            "trained on; give more rows."
        )
    for rows, count in zip(members, takes, strict=True):
        held[rng.permutation(rows)[:count]] = True
    return held


def fold_of_rows(codes: NDArray[Any], folds: int, seed: int, stratified: bool) -> NDArray[np.int64]:
    """Return (N,) the fold, from 0, in which a row is held out for cross-validation.

    Args:
        codes: (N,) the class of each row, if ``stratified``: then each fold has its share of every class.

    Raises:
        Refused: fewer than two folds, or fewer rows than folds.
    """
    if not 2 <= folds <= len(codes):
        raise Refused(f"{len(codes)} rows cannot be cut in {folds} folds; give from 2 to as many folds as rows.")
    order = np.random.default_rng(seed).permutation(len(codes))
    if stratified:
        order = order[np.argsort(codes[order], kind="stable")]
    fold = np.empty(len(codes), np.int64)
    fold[order] = np.arange(len(codes)) % folds
    return fold


def as_frame(table: Any, what: str) -> pd.DataFrame:
    """Return a table as a DataFrame with rows numbered from 0.

    Raises:
        Refused: it is no table.
    """
    import pandas as pd

    frame = table.to_pandas() if hasattr(table, "to_pandas") else table
    if not isinstance(frame, pd.DataFrame):
        raise Refused(f"{what} is {type(table).__name__}; give a pandas DataFrame or a pyarrow Table.")
    return frame.reset_index(drop=True)


def _values(table: pd.DataFrame, column: str) -> list[Any]:
    from smalti.templates.inputs import table_of

    values: list[Any] = table_of(table[[column]]).column(column).to_pylist()
    return values


def _frame(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(dict(columns)).astype({TEXT: "str"})


def _left_out(target: str, rows: int) -> str:
    return f"{rows} row{'s' if rows > 1 else ''} without a {target} left out."


def _id_column(
    description: TableDescription, table: pd.DataFrame, test: pd.DataFrame | None, wanted: str | None
) -> str:
    """Return the column that names rows, ``row`` where there is none.

    Raises:
        NotFound: there is no column ``wanted``.
        Refused: it has values that repeat or are missing.
    """
    tables = {"table": table} | ({} if test is None else {"test table": test})
    if wanted is not None:
        description[wanted]
        for name, frame in tables.items():
            if wanted not in frame:
                raise Refused(f"the {name} has no column {wanted!r} to be the id; choose one of {list(frame.columns)}.")
            require_ids(frame, wanted, name)
        return wanted
    ids = sorted((c for c in description.columns if c.role == "id"), key=lambda c: -c.confidence)
    for column in ids:
        if all(column.name in frame and _names_rows(frame[column.name]) for frame in tables.values()):
            return column.name
    return ROW


def _names_rows(values: pd.Series[Any]) -> bool:
    return bool(values.is_unique and not values.isna().any())


def require_ids(table: pd.DataFrame, column: str, what: str) -> None:
    """Raise Refused where ids repeat or are missing."""
    missing, repeated = int(table[column].isna().sum()), table[column][table[column].duplicated()]
    if missing or len(repeated):
        found = f"is missing in {missing} rows" if missing else f"is {repeated.iloc[0]} in several rows"
        raise Refused(f"{column} of the {what} {found}, but an id names one row; mend it, or choose another id_column.")


def _texts(
    parts: Mapping[str, pd.DataFrame], test: pd.DataFrame | None, target: str, template: str | None
) -> tuple[dict[str, list[str]], dict[str, Json], list[str]]:
    """Return the texts of each part and of the test table, the converter's config, and what it warned of."""
    from smalti.templates import TabularTextConverter

    train = parts["train"]
    if not set(train.columns) - {target}:
        raise Refused(
            f"no column is left to predict {target} from, as ids tell nothing of other rows; give columns that do."
        )
    converter = TabularTextConverter(template or _built_in_template(train)).fit(train, target=target)
    config: dict[str, Any] = converter.to_config()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        every = {**parts, **({} if test is None else {"test": test})}
        texts = {name: converter.transform(read_columns(config, frame)) for name, frame in every.items()}
    return texts, config, list(dict.fromkeys(str(warning.message) for warning in caught))


def read_columns(template: Mapping[str, Any], table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that a converter of this config reads; those that are not there are its to refuse."""
    wanted = [column["column"] for column in template["columns"]]
    return table[[name for name in wanted if name in table.columns]]


def _built_in_template(table: pd.DataFrame) -> str | None:
    from smalti.templates.builtin import BUILT_IN

    fitting = [each for each in BUILT_IN if set(each.columns) <= set(table.columns)]
    return max(fitting, key=lambda each: len(each.columns)).name if fitting else None
