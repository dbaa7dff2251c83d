"""What a reader found in a foreign file: arrays, physical values it states, and what was left unread and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation

if TYPE_CHECKING:
    import pyarrow

LARGEST_OFFERED_NBYTES = 4 << 20  # 170,000 patterns with x, y and z in float64


@dataclass(frozen=True, slots=True)
class Statement:
    """A physical value that the file states.

    Attributes:
        value: in the unit that its name ends in.
        place: where in the file it stands, for messages.
    """

    value: float
    place: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A member of a file that was not read: its name, and why as a clause."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Content:
    """What a file of arrays holds.

    Attributes:
        arrays: by the name they have for a scan, else by the name they have in the file.
        physics: field of :class:`smalti.codecs.scan.ScanMetadata` -> what the file says of it.
        skipped: members that nobody asked for and that were not read.
        conversions: what the reader did to the arrays, in words.
        violations: what the reader noticed and the contract cannot, e.g. patterns that were never written.
    """

    arrays: Mapping[str, NDArray[Any]]
    physics: Mapping[str, Statement] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    conversions: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class TableContent:
    """What a file of a table holds.

    Attributes:
        table: every row of the file, and every column.
        conversions: how text became values, in words: what is missing, what stayed text.
        violations: warnings about what could be read in two ways, each with the reading that was taken.
    """

    table: pyarrow.Table
    conversions: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()


def may_hold_positions(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Tell whether an array that nobody asked for is read all the same, so that a hint about positions can name it.

    These are columns of real numbers, one for each pattern, and tables with two or three of them, up to 4 MiB; axes
    of length 1 do not count.

    >>> may_hold_positions((36, 2), np.dtype("f8")), may_hold_positions((1, 36), np.dtype("f4"))
    (True, True)
    >>> may_hold_positions((), np.dtype("f8")), may_hold_positions((36, 32, 32), np.dtype("u2"))
    (False, False)
    """
    lengths = [length for length in shape if length != 1]
    table = len(lengths) == 2 and len(shape) < 4 and shape[-1] in (2, 3)
    small = math.prod(shape) * dtype.itemsize <= LARGEST_OFFERED_NBYTES
    return small and dtype.kind in "fiu" and (len(lengths) == 1 or table)
