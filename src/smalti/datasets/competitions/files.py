"""The files of a competition: one CSV for each split, under the names that Kaggle and people give them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from smalti.contracts.violation import shown
from smalti.errors import NotFound, Refused

if TYPE_CHECKING:
    import pyarrow as pa


def file_names(competition: str, split: str) -> tuple[str, ...]:
    """Return what the file of a split may be called.

    >>> file_names("house-prices", "train")
    ('train.csv', 'house-prices_train.csv', 'house_prices_train.csv')
    """
    named = (f"{competition}_{split}.csv", f"{competition.replace('-', '_')}_{split}.csv")
    return tuple(dict.fromkeys((f"{split}.csv", *named)))


def split_file(folder: Path, competition: str, split: str) -> Path:
    """Return the file of one split.

    Raises:
        NotFound: the folder does not hold it; the message says what it may be called.
    """
    names = file_names(competition, split)
    found = first_file(folder / name for name in names)
    if found is None:
        raise NotFound(
            f"the {split} split of {competition} is not in {shown(str(folder))}; put it there as {' or '.join(names)}."
        )
    return found


def first_file(paths: Iterable[Path]) -> Path | None:
    """Return the first of these that is a file, or None."""
    return next((path for path in paths if path.is_file()), None)


def table_in(path: Path) -> pa.Table:
    """Return the table in a file.

    Raises:
        NotFound, ContractBroken, Unavailable: as :func:`smalti.formats.read_file`.
        Refused: it holds arrays.
    """
    from smalti.formats import TableContent, read_file

    content = read_file(path)
    if not isinstance(content, TableContent):
        raise Refused(f"{shown(str(path))} holds arrays, where a table is wanted; give a CSV or Parquet file.")
    return content.table
