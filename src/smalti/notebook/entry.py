"""A value as a notebook shows it: a name, what it is, a small picture, and what it consists of."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from smalti.notebook.words import visible

_MOST_OPEN = 24  # entries, up to which the whole is unfolded
_DEEPEST = 32

# No colour of its own but the picture's: text takes that of the page, so that light and dark themes both work.
_STYLE = (
    "<style>"
    ".smalti-entry{font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px;line-height:1.5;"
    "max-width:100%}"
    ".smalti-entry summary{cursor:pointer}"
    ".smalti-entry .smalti-children{margin-left:.55em;padding-left:.9em;"
    "border-left:1px solid rgba(128,128,128,.35)}"
    ".smalti-entry .smalti-leaf{padding-left:1.05em}"
    ".smalti-entry .smalti-name{font-weight:600;overflow-wrap:anywhere}"
    ".smalti-entry .smalti-what{opacity:.7;margin-left:.6em;overflow-wrap:anywhere}"
    ".smalti-entry img{vertical-align:middle;margin:2px 0 2px .8em;max-height:72px;max-width:160px;"
    "image-rendering:auto;border-radius:2px}"
    "</style>"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the tree.

    Attributes:
        name: what it is called.
        what: kind, shape, size: a few words.
        picture: a small PNG of it.
        children: what it consists of.
        more: how many children there are beside those.
    """

    name: str
    what: str
    picture: bytes | None = None
    children: tuple[Entry, ...] = ()
    more: int = 0


def html(entry: Entry) -> str:
    """Return a self-contained piece of HTML that folds and unfolds; every text in it is escaped.

    Names and words longer than 400 characters are cut, levels below the 32nd are left out and counted.
    """
    unfolded = _count(entry, _MOST_OPEN + 1) <= _MOST_OPEN
    return f'<div class="smalti-entry">{_STYLE}{"".join(_pieces(entry, 0, unfolded))}</div>'


def _count(entry: Entry, enough: int) -> int:
    """Return how many lines there are, or ``enough`` where there are more."""
    found, waiting = 0, [entry]
    while waiting and found < enough:
        found += 1
        waiting += waiting.pop().children
    return found


def _pieces(entry: Entry, depth: int, unfolded: bool) -> Iterator[str]:
    label = f'<span class="smalti-name">{escape(visible(entry.name))}</span>'
    if entry.what:
        label += f'<span class="smalti-what">{escape(visible(entry.what))}</span>'
    if entry.picture:
        label += f'<img alt="" src="data:image/png;base64,{base64.b64encode(entry.picture).decode()}">'
    if not entry.children and not entry.more:
        yield f'<div class="smalti-leaf">{label}</div>'
        return
    yield f"<details{' open' if unfolded or not depth else ''}><summary>{label}</summary>"
    yield '<div class="smalti-children">'
    shown = entry.children if depth < _DEEPEST else ()
    for child in shown:
        yield from _pieces(child, depth + 1, unfolded)
    if more := entry.more + len(entry.children) - len(shown):
        yield f'<div class="smalti-leaf"><span class="smalti-what">and {more} more</span></div>'
    yield "</div></details>"
