"""A comparison as one self-contained page: pictures side by side, changed cells, lines of text, tensors."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from html import escape
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
from smalti.compare.quantities import number, relative_text
from smalti.errors import SmaltiError
from smalti.notebook import visible

if TYPE_CHECKING:
    from smalti.store import Store

PAGE_MARK = "<!-- written by smalti diff -->"  # by it a page is known that may be replaced
_MOST_PICTURED = 40
_MOST_ROWS = 300
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root{color-scheme:light dark;--line:rgba(128,128,128,.3);--soft:rgba(128,128,128,.09);--add:rgba(46,160,67,.18);
--del:rgba(248,81,73,.18)}
body{font:15px/1.5 system-ui,sans-serif;max-width:1020px;margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.35rem;margin-bottom:.3rem}
h2{font-size:1.02rem;margin:2rem 0 .4rem;padding-top:.8rem;border-top:1px solid var(--line);overflow-wrap:anywhere}
h3{font-size:.95rem;margin:1.1rem 0 .3rem;overflow-wrap:anywhere}
.what{font-weight:400;opacity:.7;margin-left:.5rem}
.tag{font-size:.75rem;font-weight:600;padding:.1rem .45rem;border-radius:.6rem;margin-right:.5rem;
background:var(--soft)}
.added{background:var(--add)}.removed{background:var(--del)}
code,pre,td.code{font-family:ui-monospace,monospace;font-size:.85em}
.digest{opacity:.7;overflow-wrap:anywhere}
ul{margin:.3rem 0;padding-left:1.2rem}
.figures{display:flex;flex-wrap:wrap;gap:14px;margin:.7rem 0}
figure{margin:0;max-width:100%}
figure img{display:block;max-width:100%;border-radius:3px}
figcaption{font-size:.8rem;opacity:.75;max-width:300px}
.wide figcaption{max-width:none}
table{border-collapse:collapse;margin:.6rem 0;font-size:.87rem;display:block;overflow-x:auto;max-width:100%}
th,td{text-align:left;padding:.2rem .7rem .2rem 0;border-bottom:1px solid var(--line);vertical-align:top;
overflow-wrap:anywhere;min-width:3rem}
th{font-weight:600;white-space:nowrap}
td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
pre{background:var(--soft);padding:.5rem 0;overflow-x:auto;border-radius:4px}
pre span{display:block;padding:0 .7rem}
nav{font-size:.9rem;columns:2;margin:1rem 0}
nav a{display:block;overflow-wrap:anywhere;text-decoration:none}
nav a:hover{text-decoration:underline}
"""


def page(comparison: Comparison, store: Store) -> str:
    """Return a comparison as one HTML page that needs nothing else; pictures are made of the first 40 differences.

    Args:
        store: where both values are; of arrays the frames that are shown are read.
    """
    return "".join(_page(comparison, store))


def _page(comparison: Comparison, store: Store) -> Iterator[str]:
    yield f'<!doctype html>\n{PAGE_MARK}\n<html lang="en"><head><meta charset="utf-8"><title>What changed</title>'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
    yield f"<h1>What changed<span class=what>{_text(comparison.what)}</span></h1>"
    yield f"<div class=digest>before <code>{_text(comparison.before)}</code><br>"
    yield f"after <code>{_text(comparison.after)}</code></div>"
    if comparison.equal:
        yield "<p>The two values are equal.</p>"
    if len(comparison.differences) > 3:
        yield "<nav>"
        for place, difference in enumerate(comparison.differences[:_MOST_ROWS]):
            yield f'<a href="#d{place}">{_tag(difference)}{_text(difference.path or "the value", 90)}</a>'
        yield "</nav>"
    for place, difference in enumerate(comparison.differences):
        yield f"<h2 id=d{place}>{_tag(difference)}{_text(difference.path or 'the value')}"
        yield f"<span class=what>{_text(difference.what)}</span></h2>"
        yield from _difference(difference, store, pictured=place < _MOST_PICTURED)
    if comparison.same:
        yield f"<p>{_text(same_text(comparison.same))}.</p>"
    yield "</body></html>\n"


def _difference(difference: Difference, store: Store, pictured: bool) -> Iterator[str]:
    content = difference.content
    told = sentences(difference, most=0 if _has_table(content) else 8)
    if told:
        yield "<ul>" + "".join(f"<li>{_text(line.strip(), 1000)}</li>" for line in told) + "</ul>"
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
            yield f"<h3>{_tag(one)}{_text(one.path)}<span class=what>{_text(one.what)}</span></h3>"
        yield from _difference(one, store, pictured=False)
        if isinstance(one.content, ArrayDifference) and all(isinstance(side, Mapping) for side in sides):
            yield from _figures(figures(one.content, *(side[one.path] for side in sides)))


def _figures(rows: Iterable[Sequence[Figure]]) -> Iterator[str]:
    for row in rows:
        yield f'<div class="figures{" wide" if len(row) == 1 else ""}">'
        for figure in row:
            source = base64.b64encode(figure.png).decode()
            yield f'<figure><img alt="{_text(figure.caption)}" src="data:image/png;base64,{source}">'
            yield f"<figcaption>{_text(figure.caption)}</figcaption></figure>"
        yield "</div>"


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
    yield "<table><tr>" + "".join(f"<th>{_text(name)}</th>" for name in head) + "</tr>"
    for row in rows:
        cells = (
            f"<td{' class=number' if place >= numbers_from else ''}>{_text(cell)}</td>"
            for place, cell in enumerate(row)
        )
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</table>"
    if more:
        yield f"<p>and {more:,} more</p>"


def _lines(content: BytesDifference) -> Iterator[str]:
    kinds = {"+": " class=added", "-": " class=removed", "@": ' style="opacity:.6"'}
    yield "<pre>"
    for line in content.lines:
        yield f"<span{kinds.get(line[:1], '')}>{_text(line) or ' '}</span>"
    yield "</pre>"
    if content.more:
        yield f"<p>and {content.more:,} more lines</p>"


def _tag(difference: Difference) -> str:
    return f'<span class="tag {difference.happened}">{difference.happened}</span>'


def _text(text: str, most: int = 400) -> str:
    return escape(visible(text, most))
