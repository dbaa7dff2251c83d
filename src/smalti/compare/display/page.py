"""A comparison as one self-contained page: pictures side by side, changed cells, lines of text, tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from smalti.compare.differences import (
    ArrayDifference,
    BytesDifference,
    Comparison,
    Content,
    Difference,
    DocumentDifference,
    FileDifference,
    TableDifference,
    WeightsDifference,
)
from smalti.compare.display.figures import Figure, figures
from smalti.compare.display.sentences import json_text, sentences
from smalti.compare.display.words import same_text
from smalti.errors import SmaltiError
from smalti.outputs import page as html
from smalti.outputs.page import text
from smalti.outputs.quantities import number, relative_text

if TYPE_CHECKING:
    from smalti.store import Store

_MOST_PICTURED = 40
_MOST_ROWS = 300
_MOST_NAME = 400  # characters of a name or a cell


def page(comparison: Comparison, store: Store) -> str:
    """Return a comparison as one HTML page that needs nothing else; pictures are made of the first 40 differences.

    Args:
        store: where both values are; of arrays the frames that are shown are read.
    """
    return html.page("What changed", _body(comparison, store))


def _body(comparison: Comparison, store: Store) -> Iterator[str]:
    yield f'<h1>What changed</h1><p class="lead">{text(comparison.what)}</p>'
    yield html.fields({"before": html.code(comparison.before), "after": html.code(comparison.after)})
    if comparison.equal:
        yield "<p>The two values are equal.</p>"
    if len(comparison.differences) > 3:
        yield "<nav>"
        for place, difference in enumerate(comparison.differences[:_MOST_ROWS]):
            yield f'<a href="#d{place}">{_tag(difference)}{text(difference.path or "the value", 90)}</a>'
        yield "</nav>"
    for place, difference in enumerate(comparison.differences):
        name = text(difference.path or "the value", _MOST_NAME)
        yield f'<h2 id="d{place}">{_tag(difference)}{name}{_what(difference)}</h2>'
        yield from _difference(difference, store, pictured=place < _MOST_PICTURED)
    if comparison.same:
        yield f"<p>{text(same_text(comparison.same))}.</p>"


def _what(difference: Difference) -> str:
    return f' <span class="soft">{text(difference.what, _MOST_NAME)}</span>'


def _difference(difference: Difference, store: Store, pictured: bool) -> Iterator[str]:
    content = difference.content
    told = sentences(difference, most=0 if _has_table(content) else 8)
    if told:
        yield "<ul>" + "".join(f"<li>{text(line.strip(), 1000)}</li>" for line in told) + "</ul>"
    if isinstance(content, ArrayDifference) and pictured and difference.before and difference.after:
        yield from _figures(_stored_figures(content, difference.before, difference.after, store))
    elif isinstance(content, TableDifference):
        yield from _cells(content)
    elif isinstance(content, WeightsDifference):
        yield from _tensors(content)
    elif isinstance(content, DocumentDifference):
        yield from _places(content)
    elif isinstance(content, BytesDifference) and content.lines:
        yield from _lines(content)
    elif isinstance(content, FileDifference):
        yield from _inside(content, difference, store, pictured)


def _has_table(content: Content | None) -> bool:
    """Tell whether a table follows that says what the sentences would list."""
    return content is not None and not isinstance(content, ArrayDifference)


def _stored_figures(content: ArrayDifference, before: str, after: str, store: Store) -> list[list[Figure]]:
    try:
        return figures(content, store.open(before), store.open(after))
    except SmaltiError:  # the sentences say what could be read
        return []


def _inside(content: FileDifference, difference: Difference, store: Store, pictured: bool) -> Iterator[str]:
    from collections.abc import Mapping

    from smalti.compare.inside import read_inside

    sides: list[Any] = [None, None]
    if pictured and content.name and any(isinstance(one.content, ArrayDifference) for one in content.inside):
        try:
            sides = [read_inside(store, str(digest), content.name) for digest in (difference.before, difference.after)]
        except SmaltiError:
            sides = [None, None]
    for one in content.inside:
        if one.path:
            yield f"<h3>{_tag(one)}{text(one.path, _MOST_NAME)}{_what(one)}</h3>"
        yield from _difference(one, store, pictured=False)
        if isinstance(one.content, ArrayDifference) and all(isinstance(side, Mapping) for side in sides):
            yield from _figures(figures(one.content, *(side[one.path] for side in sides)))


def _figures(rows: Iterable[Sequence[Figure]]) -> Iterator[str]:
    for row in rows:
        yield html.pictures(html.picture(figure.png, figure.caption) for figure in row)


def _cells(content: TableDifference) -> Iterator[str]:
    if not content.cells:
        return
    head = " and ".join(content.key) if content.key else "row"
    rows = ((cell.row, cell.column, cell.before, cell.after) for cell in content.cells)
    yield from _table((head, "column", "before", "after"), rows, content.cells_changed - len(content.cells))


def _places(content: DocumentDifference) -> Iterator[str]:
    def cell(value: Any, missing: bool, unit: str) -> str:
        return "" if missing else json_text(value, unit, 400)

    changes = content.changes[:_MOST_ROWS]
    rows = (
        (
            change.path or "the document",
            cell(change.before, change.happened == "added", change.unit),
            cell(change.after, change.happened == "removed", change.unit),
            relative_text(change.before, change.after) if change.happened == "changed" else change.happened,
        )
        for change in changes
    )
    if changes:
        yield from _table(("place", "before", "after", ""), rows, len(content.changes) + content.more - len(changes))


def _tensors(content: WeightsDifference) -> Iterator[str]:
    tensors = sorted(content.tensors, key=lambda t: -(t.relative or 0.0))[:_MOST_ROWS]
    rows = (
        (
            tensor.name,
            tensor.happened,
            _both(tensor.dtypes),
            _both(tensor.shapes),
            _number(tensor.norm_before),
            _number(tensor.norm_after),
            _number(tensor.norm_difference),
            _number(tensor.relative, 3),
            _number(tensor.max_abs),
        )
        for tensor in tensors
    )
    head = ("tensor", "", "dtype", "shape", "norm before", "after", "of the difference", "relative", "largest")
    yield from _table(head, rows, len(content.tensors) - len(tensors), numbers_from=4)


def _both(pair: tuple[Any, Any]) -> str:
    before, after = pair
    if before == after or None in pair:
        return str(before if before is not None else after)
    return f"{before} -> {after}"


def _number(value: float | None, digits: int = 4) -> str:
    return "" if value is None else number(value, digits)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], more: int, numbers_from: int = 99) -> Iterator[str]:
    cells = [[text(cell, _MOST_NAME) for cell in row] for row in rows]
    yield html.table(head, cells, numbers_from=numbers_from)
    yield html.more(more)


def _lines(content: BytesDifference) -> Iterator[str]:
    kinds = {"+": ' class="added"', "-": ' class="removed"', "@": ' class="soft"'}
    written = "".join(
        f"<span{kinds.get(line[:1], '')}>{text(line, _MOST_NAME) or ' '}</span>" for line in content.lines
    )
    yield f'<pre class="lines">{written}</pre>'
    yield html.more(content.more, "lines")


def _tag(difference: Difference) -> str:
    return f'<span class="tag {difference.happened}">{difference.happened}</span>'
