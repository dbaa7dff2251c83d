"""Pictures, tables, numbers and lists of sentences as Dagster metadata."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """Return a PNG as metadata that the UI shows as an image."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def sentences(lines: Iterable[str]) -> dg.MarkdownMetadataValue:
    """Return sentences as a Markdown list, each as code, so that foreign text in them is not interpreted."""
    escaped = (line.replace("`", "'").replace("\n", " ") for line in lines)
    return dg.MetadataValue.md("\n".join(f"- `{line}`" for line in escaped) or "none")


def numbers_of(entry: Mapping[str, Any]) -> dict[str, float]:
    """Return the entries that are numbers, which Dagster plots."""
    return {name: value for name, value in entry.items() if isinstance(value, int | float)}


def records(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Return rows as a table; one that lacks a column is empty there."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    texts = ({name: "" if row.get(name) is None else _text(row[name]) for name in columns} for row in rows)
    return dg.MetadataValue.table(
        [dg.TableRecord(row) for row in texts], dg.TableSchema([dg.TableColumn(name) for name in columns])
    )


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
