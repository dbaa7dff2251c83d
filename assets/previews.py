"""Small pictures and curves, tables, numbers and lists of sentences as Dagster metadata."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
from PIL.Image import Image

from smalti.digest import PREFIX, is_address
from smalti.outputs.curve import Curve, markdown_curve
from smalti.outputs.thumbnail import markdown_picture

_DIGITS = 3
_SHOWN_DIGITS = 12  # of a digest


def picture(image: Image | bytes, title: str) -> dg.MarkdownMetadataValue:
    """Return a picture, or the content of an image file, as a thumbnail that the UI shows in its line."""
    return dg.MetadataValue.md(markdown_picture(image, title))


def curve(
    curves: Sequence[Curve], title: str, x_label: str = "", mark: tuple[float, float] | None = None
) -> dg.MarkdownMetadataValue:
    """Return one or two curves as a small figure that the UI shows in its line; see ``smalti.outputs.curve``."""
    return dg.MetadataValue.md(markdown_curve(curves, title, x_label, mark))


def measured(value: float) -> float:
    """Return a number in three significant digits, as it is shown and plotted; integers whole.

    The whole value stays in the stored value.
    """
    return value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}")


def numbers_of(entry: Mapping[str, Any]) -> dict[str, float]:
    """Return the entries that are finite numbers, each as :func:`measured`; Dagster plots them, and can hold no NaN."""
    return {name: measured(value) for name, value in entry.items() if _is_number(value)}


def sentences(lines: Iterable[str]) -> dg.MarkdownMetadataValue:
    """Return sentences as a Markdown list, each as code, so that foreign text in them is not interpreted."""
    escaped = (line.replace("`", "'").replace("\n", " ") for line in lines)
    return dg.MetadataValue.md("\n".join(f"- `{line}`" for line in escaped) or "none")


def records(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Return rows as a table; one that lacks a column is empty there. Numbers and digests are shortened."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    texts = ({name: "" if row.get(name) is None else _text(row[name]) for name in columns} for row in rows)
    return dg.MetadataValue.table(
        [dg.TableRecord(row) for row in texts], dg.TableSchema([dg.TableColumn(name) for name in columns])
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: Any) -> str:
    if isinstance(value, str) and is_address(value):
        return value[: len(PREFIX) + _SHOWN_DIGITS]
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)
