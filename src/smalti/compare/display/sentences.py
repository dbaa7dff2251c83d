"""What changed in the content of a value, in sentences: one function for each kind of content."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from smalti.compare.differences import (
    ArrayDifference,
    BytesDifference,
    ColumnDifference,
    Content,
    Difference,
    DocumentDifference,
    ElementsDifference,
    FileDifference,
    TableDifference,
    TensorDifference,
    ValueChange,
    WeightsDifference,
)
from smalti.compare.documents import unit_of
from smalti.notebook import readable, visible
from smalti.outputs.quantities import change_text, count, number, quantity
from smalti.store.maintenance.diff import RowChange

_MOST_CHARACTERS = 120
_MOST_RANGES = 8
_MOST_NAMED = 20


def sentences(difference: Difference, most: int = 8) -> list[str]:
    """Return what is to be said of a difference beside its path; of every list the first ``most`` items.

    Where ``most`` is 0, cells, lines, tensors, places and arrays inside are left to whoever shows them in another way.
    """
    content = difference.content
    told: list[str] = []
    if content is not None:
        told = list(_told(content, most, unit_of(difference.path.rpartition("/")[2])))
        if not told and not difference.notes and most:
            told = ["the content is equal; only how it is stored differs"]
    return [*told, *(visible(note, 1000) for note in difference.notes)]


def _told(content: Content, most: int, unit: str) -> Iterator[str]:
    if isinstance(content, ArrayDifference):
        return _array(content, unit)
    tell: Callable[[Any, int], Iterator[str]] = _TELLS[type(content)]
    return tell(content, most)


def value_change(change: ValueChange) -> str:
    """Return one place of a document in words: ``photon_energy_eV: 8.8 keV -> 9 keV (+2.27 %)``."""
    path = visible(change.path) or "the document"
    if change.happened == "added":
        return f"{path}: {json_text(change.after, change.unit)} (added)"
    if change.happened == "removed":
        return f"{path}: {json_text(change.before, change.unit)} (removed)"
    before, after = change.before, change.after
    if _is_number(before) and _is_number(after) and before != after:
        return f"{path}: {change_text(before, after, change.unit)}"  # type: ignore[arg-type]
    unit = "" if before == after else change.unit  # 1 and 1.0 in a unit would look the same
    return f"{path}: {json_text(before, unit)} -> {json_text(after, unit)}"


def json_text(value: Any, unit: str = "", most: int = _MOST_CHARACTERS) -> str:
    """Return a JSON value in one line, cut where it is long; a number in its unit."""
    if unit and _is_number(value):
        return quantity(value, unit, 6)
    if unit and isinstance(value, dict) and _is_number(value.get("value")):
        rest = {name: item for name, item in value.items() if name != "value" and item not in (False, "")}
        return quantity(value["value"], unit, 6) + (f" {json_text(rest)}" if rest else "")
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        text = f"({text[1:-1]}{',' * (len(value) == 1)})"
    return visible(text, most)


def rows_text(row: RowChange) -> str:
    """Say which rows, as numpy slices them."""
    (i, j), (k, m) = row.before, row.after
    if i == j:
        return f"{k}:{m} inserted"
    if k == m:
        return f"{i}:{j} deleted"
    if j - i != m - k:
        return f"{i}:{j} replaced by {k}:{m}"
    return f"{k}:{m}" if row.before == row.after else f"{i}:{j} (now {k}:{m})"


def _array(content: ArrayDifference, unit: str) -> Iterator[str]:
    if content.dtypes[0] != content.dtypes[1]:
        yield f"dtype {content.dtypes[0]} -> {content.dtypes[1]}"
    if content.shapes[0] != content.shapes[1]:
        yield f"shape {content.shapes[0]} -> {content.shapes[1]}"
    if content.note:
        yield content.note
    counts = [
        f"{many:,} {what}"
        for many, what in (
            (content.rows_changed, "changed"),
            (content.rows_inserted, "inserted"),
            (content.rows_deleted, "deleted"),
        )
        if many
    ]
    if counts and content.shapes[0]:
        yield from _rows(content, counts)
    elements = content.elements
    if elements is not None:
        yield from _elements(elements, math.prod(content.shapes[1]), elements.unit or unit)


def _rows(content: ArrayDifference, counts: Sequence[str]) -> Iterator[str]:
    total = content.shapes[1][0]
    if content.rows_changed == total == content.shapes[0][0]:
        if total > 1 and len(content.shapes[1]) > 1:
            yield f"all {total:,} rows changed"
        return
    shown = ", ".join(rows_text(row) for row in content.rows[:_MOST_RANGES])
    more = content.ranges - min(_MOST_RANGES, len(content.rows))
    yield f"rows: {', '.join(counts)} (now {total:,}): {shown}" + (f", and {more:,} more places" if more else "")


def _elements(elements: ElementsDifference, total: int, unit: str) -> Iterator[str]:
    if not elements.changed and not elements.spelling:
        yield f"all {elements.compared:,} elements that were compared are equal in value"
        return
    if elements.changed:
        many = f"{elements.changed:,} of {count(total, 'element')} changed"
        if elements.max_abs is not None:
            many += f", by {_distance(elements.max_abs, unit)}"
            if elements.changed > 1 and elements.mean_abs is not None:
                many += f" at most and {_distance(elements.mean_abs, unit)} on average"
            if elements.max_rel is not None:
                many += f"; relative difference at most {number(elements.max_rel, 3)}"
        yield many
    if elements.max_abs is not None and not elements.index_before:
        yield _pair(elements.before_at_max, elements.after_at_max, unit)
    if elements.max_abs is not None and elements.index_before:
        at, now = (f"[{', '.join(map(str, index))}]" for index in (elements.index_before, elements.index_after))
        place = at if at == now else f"{at} (now {now})"
        yield f"most at {place}: {_pair(elements.before_at_max, elements.after_at_max, unit)}"
    nan = "NaT" if elements.unit else "NaN"
    for some, what in (
        (elements.nan_came, f"became {nan}"),
        (elements.nan_gone, f"were {nan}"),
        (elements.infinite_came, "became infinite"),
        (elements.infinite_gone, "were infinite"),
        (elements.true_came, "became true"),
        (elements.true_gone, "became false"),
    ):
        if some:
            yield f"{count(some, 'element')} {what if some > 1 else what.replace('were', 'was')}"
    if elements.spelling:
        yield (
            f"{count(elements.spelling, 'element')} of equal value with other bits: the sign of a zero, or which NaN "
            "it is"
        )
    if more := elements.complex:
        yield (
            f"amplitude differs by {number(more.amplitude_mean, 3)} on average, {number(more.amplitude_max, 3)} at "
            f"most; phase by {number(more.phase_rms_rad, 3)} rad rms (weighted with the amplitudes)"
        )
        yield (
            f"nothing was aligned: as a whole the phase is turned by {number(more.phase_overall_rad, 3)} rad, "
            f"correlation {more.correlation:.6g}"
        )


def _distance(value: float | int, unit: str) -> str:
    return quantity(value, unit, 4) if isinstance(value, float) else f"{value:,} {unit}".rstrip()


def _pair(before: Any, after: Any, unit: str = "") -> str:
    if unit and _is_number(before) and _is_number(after):
        return change_text(before, after, unit)
    digits = 4
    while digits < 17 and number(before, digits) == number(after, digits):
        digits += 1
    return f"{number(before, digits)} -> {number(after, digits)}"


def _table(content: TableDifference, most: int) -> Iterator[str]:
    named = most or _MOST_NAMED
    if content.rows[0] != content.rows[1]:
        yield f"{count(content.rows[0], 'row')} -> {count(content.rows[1], 'row')}"
    for word, columns in (("added", content.columns_added), ("removed", content.columns_removed)):
        if columns:
            yield f"columns {word}: {_some([f'{visible(name)} ({dtype})' for name, dtype in columns], named)}"
    if content.columns_moved:
        yield "the columns are in another order"
    retyped = [c for c in content.columns if c.types[0] != c.types[1]]
    if retyped:
        yield f"columns of another type: {_some([_retyped(column) for column in retyped], named)}"
    yield content.matching
    counts = [
        f"{many:,} {what}"
        for many, what in (
            (content.rows_changed, "changed"),
            (content.rows_added, "added"),
            (content.rows_removed, "removed"),
            (content.rows_moved, "in another place"),
        )
        if many
    ]
    yield f"rows: {', '.join(counts)}" if counts else "no row was added, removed or changed"
    for word, names in (("added", content.added), ("removed", content.removed)):
        if names:
            total = content.rows_added if word == "added" else content.rows_removed
            yield f"rows {word}: {_some([visible(name, 60) for name in names], named, total)}"
    changed = [_column(column) for column in content.columns if column.cells]
    if changed:
        yield f"{count(content.cells_changed, 'cell')} changed: {_some(changed, named)}"
    for cell in content.cells[:most]:
        place = f"row {visible(cell.row, 60)}, {visible(cell.column, 60)}"
        yield f"  {place}: {visible(cell.before)} -> {visible(cell.after)}"
    if content.cells_changed > most > 0:
        yield f"  and {count(content.cells_changed - min(most, len(content.cells)), 'cell')} more"
    for change in content.about.changes[:named]:
        yield value_change(change)


def _retyped(column: ColumnDifference) -> str:
    uncompared = "; the cells cannot be compared" if column.cells is None else ""
    return f"{visible(column.name)} ({column.types[0]} -> {column.types[1]}{uncompared})"


def _column(column: ColumnDifference) -> str:
    text = f"{visible(column.name)} {column.cells:,}"
    if column.max_abs is not None:
        text += f" (by {number(column.max_abs)} at most)"
    return text


def _weights(content: WeightsDifference, most: int) -> Iterator[str]:
    for word in ("added", "removed"):
        names = [_tensor(tensor) for tensor in content.tensors if tensor.happened == word]
        if names and most:
            yield f"tensors {word}: {_some(names, most)}"
    changed = [tensor for tensor in content.tensors if tensor.happened == "changed"]
    if not changed:
        return
    yield f"{len(changed):,} of {count(content.total, 'tensor')} changed"
    compared = [t for t in changed if t.norm_difference is not None and t.norm_before is not None]
    if compared:
        apart = math.hypot(*(t.norm_difference or 0.0 for t in compared))
        whole = math.hypot(*(t.norm_before or 0.0 for t in compared))
        relative = f", {apart / whole:.3g} of the norm before" if whole else ""
        yield f"norm of the difference over those {number(apart)}{relative}"
    for tensor in sorted(changed, key=lambda t: -(math.inf if t.relative is None else t.relative))[:most]:
        yield f"  {_tensor(tensor)}"
    if len(changed) > most > 0:
        yield f"  and {count(len(changed) - most, 'tensor')} more"


def _tensor(tensor: TensorDifference) -> str:
    name = visible(tensor.name)
    if tensor.happened != "changed":
        side = tensor.happened == "added"
        return f"{name} {tensor.dtypes[side]} {tensor.shapes[side]}"
    parts = [f"{before} -> {after}" for before, after in (tensor.dtypes, tensor.shapes) if before != after]
    if tensor.values is not None:
        return f"{name}: {', '.join([*parts, _pair(*tensor.values)])}"
    if tensor.norm_difference is None:
        return f"{name}: {', '.join(parts)}; not compared"
    relative = "" if tensor.relative is None else f", {tensor.relative:.3g} of the norm before"
    parts.append(f"norm of the difference {number(tensor.norm_difference)}{relative}")
    parts.append(f"norm {_pair(tensor.norm_before, tensor.norm_after)}")
    return f"{name}: {', '.join(parts)}"


def _document(content: DocumentDifference, most: int) -> Iterator[str]:
    for change in content.changes[:most]:
        yield value_change(change)
    more = len(content.changes) + content.more - min(most, len(content.changes))
    if more and most:
        yield f"and {count(more, 'place')} more"


def _bytes(content: BytesDifference, most: int) -> Iterator[str]:
    before, after = content.sizes
    yield f"{readable(before)} -> {readable(after)}" if before != after else f"{readable(after)}, as before"
    if content.lines_added is not None:
        removed = content.lines_removed or 0
        yield f"{count(content.lines_added, 'line')} added, {count(removed, 'line')} removed"
        yield from (f"  {visible(line)}" for line in content.lines[: 2 * most])
        more = len(content.lines) + content.more - min(2 * most, len(content.lines))
        if more and most:
            yield f"  and {count(more, 'line')} more"
    elif content.first is not None:
        yield f"they part at byte {content.first:,}"
    elif before != after:
        yield f"the {'first' if before < after else 'second'} is the beginning of the other"


def _file(content: FileDifference, most: int) -> Iterator[str]:
    before, after = content.sizes
    yield f"{readable(before)} -> {readable(after)}; compared by what is inside"
    if not content.inside:
        yield "the arrays inside are equal; only how the file spells them differs"
    for difference in content.inside[:most]:
        if difference.path:
            yield f"{difference.happened} {visible(difference.path)}  {difference.what}"
        yield from (f"  {line}" for line in sentences(difference, max(2, most // 2)))
    if len(content.inside) > most > 0:
        yield f"and {count(len(content.inside) - most, 'array')} more"
    if content.same:
        yield f"{count(content.same, 'array')} inside {'is' if content.same == 1 else 'are'} the same"


_TELLS: dict[type, Callable[[Any, int], Iterator[str]]] = {
    BytesDifference: _bytes,
    DocumentDifference: _document,
    FileDifference: _file,
    TableDifference: _table,
    WeightsDifference: _weights,
}


def _some(items: list[str], most: int, total: int | None = None) -> str:
    total = len(items) if total is None else total
    shown = items[:most]
    return ", ".join(shown) + (f", and {total - len(shown):,} more" if total > len(shown) else "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
