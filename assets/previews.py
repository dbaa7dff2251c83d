"""Pictures and lists of sentences as Dagster metadata."""

import base64
from collections.abc import Iterable

import dagster as dg


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """Return a PNG as metadata that the UI shows as an image."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def sentences(lines: Iterable[str]) -> dg.MarkdownMetadataValue:
    """Return sentences as a Markdown list, each as code, so that foreign text in them is not interpreted."""
    escaped = (line.replace("`", "'").replace("\n", " ") for line in lines)
    return dg.MetadataValue.md("\n".join(f"- `{line}`" for line in escaped) or "none")
