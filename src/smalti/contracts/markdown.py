"""Pages of Markdown: headings, tables, lists, and foreign text that is no markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def page(title: str, summary: str, *sections: Iterable[str]) -> str:
    """Return a page: the title, the summary, and each section that is not empty after an empty line."""
    blocks = [[f"# {title}"], [summary], *(list(section) for section in sections)]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, none where there are no rows.

    >>> table(("a", "b"), [("1", "x|y")])
    ['| a | b |', '|---|---|', '| 1 | x\\\\|y |']
    """
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines] if lines else []


def bullets(sentences: Iterable[str]) -> list[str]:
    """Return the lines of a list."""
    return [f"- {sentence}" for sentence in sentences]


def code(names: Iterable[str]) -> str:
    """Return names as code, between commas."""
    return ", ".join(f"`{name}`" for name in names)


def plain(text: str) -> str:
    """Return foreign text as one line that is no markup.

    >>> plain("<b>a_b</b>")
    '\\\\<b\\\\>a\\\\_b\\\\</b\\\\>'
    """
    return "".join(f"\\{c}" if c in r"\`*_[]<>#|" else c for c in " ".join(text.split()))
