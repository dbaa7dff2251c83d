"""The first rows of a stored table and a summary of each column; of a long table only the first rows are summarised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from smalti.outputs.page import table, text

if TYPE_CHECKING:
    from smalti.codecs.table import LazyTable

_FIRST_ROWS = 8
_MOST_COLUMNS = 30
_MOST_READ_NBYTES = 32 * 1024 * 1024
_MOST_CELL_CHARACTERS = 60


def table_preview(lazy: LazyTable) -> Iterator[str]:
    """Yield the summary of the columns and the first rows as HTML."""
    names = lazy.schema.names[:_MOST_COLUMNS]
    rows = lazy.num_rows
    summarised = rows if lazy.nbytes <= _MOST_READ_NBYTES else max(1, rows * _MOST_READ_NBYTES // lazy.nbytes)
    part = _arrow(lazy[0:summarised]).select(names)
    of = "" if summarised == rows else f", of the first {summarised} rows"
    yield f"<h3>columns{of}</h3>"
    heads = ("column", "type", "missing", "distinct", "smallest", "largest", "mean")
    yield table(heads, [_summary(part, name) for name in names])
    left = len(lazy.schema.names) - len(names)
    if left > 0:
        yield f'<p class="soft">and {left} more columns</p>'
    shown = part.slice(0, _FIRST_ROWS).to_pydict()
    yield f"<h3>first {min(_FIRST_ROWS, rows)} of {rows} rows</h3>"
    cells = zip(*([text(one, _MOST_CELL_CHARACTERS) for one in shown[name]] for name in names), strict=True)
    yield table(names, list(cells), wide=True)


def _arrow(value: Any) -> Any:
    """Return rows as a pyarrow Table; those of a DataFrame with its index among the columns."""
    if hasattr(value, "to_pydict"):
        return value
    from smalti.codecs.arrow.frame import to_arrow

    return to_arrow(value)[0]


def _summary(part: Any, name: str) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = part.column(name)

    def said(function: Any) -> str:
        try:
            found = function(column).as_py()
        except (pa.ArrowException, TypeError, ValueError, OverflowError):  # such as texts, which have no mean
            return ""
        if found is None:
            return ""
        return text(f"{found:.6g}" if isinstance(found, float) else found, _MOST_CELL_CHARACTERS)

    return (
        f"<b>{text(name, 120)}</b>",
        text(column.type, 80),
        str(column.null_count),
        said(pc.count_distinct),
        said(pc.min),
        said(pc.max),
        said(pc.mean),
    )
