"""How two sequences of bytes differ: size, where they part, and line by line where both are text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from smalti.compare.differences import BytesDifference
from smalti.digest import LEAF_ID_NBYTES
from smalti.store.maintenance.diff import Range, differing_ranges
from smalti.store.read.reader import Reader

MOST_TEXT_NBYTES = 1 << 20
_MOST_LINES = 400
_CONTEXT = 2


def compare_bytes(before: Reader, after: Reader) -> BytesDifference:
    """Compare two stored sequences of bytes; beside text of modest size only the first leaf that differs is read."""
    sizes = before.record.nbytes, after.record.nbytes
    if max(sizes) <= MOST_TEXT_NBYTES:
        return compare_small(bytes(before.read()), bytes(after.read()))
    start = _equal_nbytes(before, after)
    piece = 1 << 20
    while start < min(sizes):
        stop = min(start + piece, *sizes)
        one, other = before.read(0, start, stop), after.read(0, start, stop)
        if one != other:
            return BytesDifference(sizes, start + _first(bytes(one), bytes(other)))
        start = stop
    return BytesDifference(sizes)


def compare_small(before: bytes, after: bytes) -> BytesDifference:
    """Compare two sequences of bytes in memory."""
    sizes = len(before), len(after)
    at = _first(before, after)
    first = at if at < min(sizes) else None
    one, other = text_lines(before), text_lines(after)
    if one is None or other is None:
        return BytesDifference(sizes, first)
    lines = _unified(one, other)
    return BytesDifference(
        sizes,
        first,
        tuple(islice(lines, _MOST_LINES)),
        lines_added=sum(line.startswith("+") for line in lines),
        lines_removed=sum(line.startswith("-") for line in lines),
        more=max(0, len(lines) - _MOST_LINES),
    )


def text_lines(content: bytes) -> list[str] | None:
    """Return the lines of text in UTF-8, each with its end; None for what is no text."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text.splitlines(keepends=True)


def _unified(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Return a unified diff: difflib's takes minutes for some texts of this size, this one does not."""
    groups: list[list[tuple[Range, Range]]] = []
    for block in differing_ranges(before, after):
        if groups and block[0][0] - groups[-1][-1][0][1] <= 2 * _CONTEXT:
            groups[-1].append(block)
        else:
            groups.append([block])
    lines: list[str] = []
    for group in groups:
        (first, _), (other, _) = group[0]
        (_, last), (_, other_last) = group[-1]
        room = min(_CONTEXT, first), min(_CONTEXT, len(before) - last)
        start, stop, other_start, other_stop = first - room[0], last + room[1], other - room[0], other_last + room[1]
        lines.append(f"@@ -{start + 1},{stop - start} +{other_start + 1},{other_stop - other_start} @@")
        at = start
        for (i, j), (k, m) in group:
            lines += [" " + _line(line) for line in before[at:i]]
            lines += ["-" + _line(line) for line in before[i:j]]
            lines += ["+" + _line(line) for line in after[k:m]]
            at = j
        lines += [" " + _line(line) for line in before[at:stop]]
    return lines


def _line(line: str) -> str:
    return line[:-1] if line.endswith("\n") else f"{line} (no line end)"


def _first(one: bytes, other: bytes) -> int:
    """Return how many bytes at the beginning are equal."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def _equal_nbytes(before: Reader, after: Reader) -> int:
    """Return how many bytes at the beginning are equal because their leaves are."""
    start = 0
    for number, sizes in enumerate(zip(before.record.leaf_sizes, after.record.leaf_sizes, strict=False)):
        place = slice(LEAF_ID_NBYTES * number, LEAF_ID_NBYTES * (number + 1))
        if before.record.leaf_ids[place] != after.record.leaf_ids[place]:
            break
        start += int(sizes[0])
    return start
