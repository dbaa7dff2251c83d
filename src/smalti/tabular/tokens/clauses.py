"""The clauses of a text, and the number in a clause: ``age 22 years`` is the pattern ``age [NUM] years`` and 22."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import NamedTuple

SEPARATOR = ", "  # of clauses, as smalti.templates writes them
NUMBER = "[NUM]"

_NUMBER = re.compile(
    r"(?<!\S)(?:(\d{4})-(\d\d)-(\d\d)(?: (\d\d):(\d\d)\S*(?: UTC)?)?|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?!\S)"
)
_WORD = re.compile(r"[\u3400-\u9fff\u3040-\u30ff]|[^\W_]+(?:[._'-][^\W_]+)*|[^\w\s]|_")
_LARGEST = 1e100  # sums of squares stay finite


class Clause(NamedTuple):
    """A clause, with ``[NUM]`` in place of its number; ``number`` is None where it holds none, or several."""

    pattern: str
    number: float | None


def clauses_of(text: str) -> list[str]:
    """Return the clauses of a text, none of them empty.

    >>> clauses_of("sex female, age 22 years")
    ['sex female', 'age 22 years']
    """
    return [clause for clause in text.split(SEPARATOR) if clause]


def parse(clause: str) -> Clause:
    """Return the pattern and the number of a clause; days and moments are years, what is not finite is no number.

    >>> tuple(map(tuple, map(parse, ("fare 7.25 pounds", "sold 2010-01-01", "port S"))))
    (('fare [NUM] pounds', 7.25), ('sold [NUM]', 2010.0), ('port S', None))
    """
    found = list(_NUMBER.finditer(clause))
    number = _value(found[0]) if len(found) == 1 else None
    if number is None:
        return Clause(clause, None)
    return Clause(f"{clause[: found[0].start()]}{NUMBER}{clause[found[0].end() :]}", number)


def words_of(clause: str) -> list[str]:
    """Return the words of a clause, small letters, marks apart, and Chinese and Japanese characters one by one.

    >>> words_of("Great, isn't it?")
    ['great', ',', "isn't", 'it', '?']
    """
    return _WORD.findall(clause.lower())


def _value(found: re.Match[str]) -> float | None:
    year, month, day, hour, minute = found.groups()
    if year is not None:
        try:
            moment = date(int(year), int(month), int(day))
        except ValueError:
            return None
        first, next_first = date(moment.year, 1, 1).toordinal(), date(moment.year, 12, 31).toordinal() + 1
        day_of_year = moment.toordinal() - first + int(hour or 0) / 24 + int(minute or 0) / 1440
        return round(moment.year + day_of_year / (next_first - first), 7)
    number = float(found.group())
    return max(-_LARGEST, min(_LARGEST, number)) if math.isfinite(number) else None
