"""A comparison as plain lines for a terminal, and as short Markdown."""

from __future__ import annotations

import re

from smalti.compare.differences import Comparison, Difference
from smalti.compare.display.sentences import sentences
from smalti.notebook import visible
from smalti.outputs.quantities import count

_MOST_LINES = 20  # of the Markdown
_MARKUP = re.compile(r"([\\`*_\[\]<|~&]|^[#>+-]|^\d+(?=[.)]))")


def text(comparison: Comparison) -> list[str]:
    """Return what differs as lines for a terminal, complete but for long lists; no other text can control it."""
    if comparison.equal:
        return ["equal"]
    lines = []
    for difference in comparison.differences:
        lines.append(_heading(difference))
        lines += [f"           {line}" for line in sentences(difference)]
    if comparison.same:
        lines.append(same_text(comparison.same))
    return lines


def summary(comparison: Comparison) -> str:
    """Return what differs as Markdown of at most 20 lines; names in it cannot mark up anything."""
    if comparison.equal:
        return "Equal."
    head = f"**{markdown(comparison.what)}**: {_counts(comparison)}"
    room = _MOST_LINES - 3  # the head, an empty line, what is left out
    listed = comparison.differences
    lines: list[str] = []
    for number, difference in enumerate(listed):
        told = [line.strip() for line in sentences(difference, most=3)]
        left = len(listed) - number - 1
        each = max(1, (room - len(lines)) // (left + 1)) if left else room - len(lines)
        if len(lines) >= room:
            lines.append(f"- and {count(left + 1, 'difference')} more")
            break
        name = visible(difference.path, 100) or "the value"
        first = f" {markdown(visible(told[0], 200))}" if told else f" {markdown(difference.what)}"
        happened = "" if difference.happened == "changed" else f" {difference.happened}:"
        lines.append(f"- `{name.replace('`', 'ʼ')}`{happened or ':'}{first}")
        lines += [f"  - {markdown(visible(line, 200))}" for line in told[1:each]]
    return "\n".join([head, "", *lines[: _MOST_LINES - 2]])


def same_text(same: int) -> str:
    """Return how many children are the same, in words."""
    return f"{same} {'child is' if same == 1 else 'children are'} the same"


def markdown(plain: str) -> str:
    """Return text that Markdown shows as it is."""
    return _MARKUP.sub(lambda found: _escaped(found[0]), plain)


def _escaped(mark: str) -> str:
    return f"{mark}\u2060" if mark.isdigit() else f"\\{mark}"


def _heading(difference: Difference) -> str:
    what = f"  {visible(difference.what)}" if difference.what else ""
    return f"{difference.happened:8} {visible(difference.path) or '(the value)'}{what}"


def _counts(comparison: Comparison) -> str:
    happened = [difference.happened for difference in comparison.differences]
    parts = [f"{happened.count(word)} {word}" for word in ("changed", "added", "removed") if word in happened]
    if comparison.same:
        parts.append(f"{comparison.same} the same")
    return ", ".join(parts)
