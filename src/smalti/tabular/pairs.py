"""Which table holds the rows to be predicted: the one named ``test`` where the training table is named ``train``."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

_TRAIN, _TEST = (re.compile(rf"(?<![A-Za-z0-9]){word}(?![A-Za-z0-9])", re.IGNORECASE) for word in ("train", "test"))


def matching_test(train: str) -> str | None:
    """Return the name of the test table that belongs to a training table; None where the name does not say.

    >>> matching_test("titanic_train"), matching_test("Train-2024.csv"), matching_test("training_log")
    ('titanic_test', 'Test-2024.csv', None)
    """
    return _renamed(train, _TRAIN, "test")


def matching_train(test: str) -> str | None:
    """Return the name of the training table that a test table belongs to; None where the name does not say.

    >>> matching_train("titanic_test"), matching_train("latest")
    ('titanic_train', None)
    """
    return _renamed(test, _TEST, "train")


def matching_test_file(train: Path) -> Path | None:
    """Return the file with the test table beside a training table, in whatever case it is written; None without one."""
    wanted = matching_test(train.name)
    there = sorted(path for path in train.parent.iterdir() if path.name.lower() == (wanted or "").lower())
    return there[0] if there else None


def to_train(arrived: str, has_target: Collection[str], there: Collection[str]) -> str | None:
    """Return the key of the training table to train on because ``arrived`` did; None where nothing follows from it.

    Args:
        arrived: key of a table that arrived.
        has_target: keys of the tables whose card names a target.
        there: keys of all tables.

    >>> to_train("titanic_train", (), {"titanic_train"})
    'titanic_train'
    >>> to_train("iris", (), {"iris"}), to_train("iris", {"iris"}, {"iris"})
    (None, 'iris')
    >>> to_train("titanic_test", (), {"titanic_test"}), to_train("titanic_test", (), {"titanic_test", "titanic_train"})
    (None, 'titanic_train')
    """
    if arrived in has_target or matching_test(arrived) is not None:
        return arrived
    train = matching_train(arrived)
    return train if train in there else None


def _renamed(name: str, word: re.Pattern[str], other: str) -> str | None:
    found = list(word.finditer(name.replace("_", " ")))
    if len(found) != 1:
        return None
    start, end = found[0].span()
    original = name[start:end]
    cased = other.upper() if original.isupper() else other.capitalize() if original[0].isupper() else other
    return name[:start] + cased + name[end:]
