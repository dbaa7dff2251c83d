"""The records of a CSV text, counted from its quotes and line ends alone: a check on whatever parser reads it.

The grammar is RFC 4180 with any delimiter and any line end: a quoted field begins right after a delimiter or a line
end, ends right before one, and holds a quote as two. A text that keeps it has one reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation, shown

_BLOCK_NBYTES = 1 << 20
_NEWLINE, _RETURN, _QUOTE, _BACKSLASH = b'\n\r"\\'
_SHOWN_NBYTES = 12
_WANTED_QUOTES = "quotes around whole fields, and a quote within one written twice"


@dataclass(slots=True)
class Records:
    """What was counted up to the end of the text, or up to its first breach.

    Attributes:
        count: records, the header among them; an empty line is none.
        empty_lines: lines without a byte.
        first_empty_line: the first of them, counted from 1 as editors do, or 0.
        multiline: whether a quoted field holds a line end.
        lone_returns: carriage returns without a line feed, in a text that has line feeds too.
        breach: the first place that breaks the grammar.
    """

    count: int = 0
    empty_lines: int = 0
    first_empty_line: int = 0
    multiline: bool = False
    lone_returns: int = 0
    breach: Violation | None = None


def count_records(file: IO[bytes], delimiter: str, first_line: int = 1, block_nbytes: int = _BLOCK_NBYTES) -> Records:
    """Count the records from where ``file`` stands, which is the beginning of the line ``first_line``."""
    counting = _Counting(delimiter, first_line)
    for text, lone_returns in _blocks(file, block_nbytes):
        counting.read(text)
        counting.records.lone_returns += lone_returns
        if counting.records.breach:
            return counting.records
    counting.end()
    return counting.records


def _blocks(file: IO[bytes], nbytes: int) -> Iterator[tuple[bytes, int]]:
    """Yield the text in blocks, each between the byte before it and the byte after it, every line end as a newline.

    With each comes the number of carriage returns in it that no line feed follows.
    """
    before, block = _NEWLINE, file.read(nbytes)
    while block:
        following = file.read(nbytes)
        lone_returns = 0
        if block[-1] == _RETURN and following.startswith(b"\n"):
            block = block[:-1]
        if b"\r" in block:
            lone_returns = block.count(b"\r") - block.count(b"\r\n")
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        after = following[0] if following else _NEWLINE
        yield bytes((before,)) + block + bytes((_NEWLINE if after == _RETURN else after,)), lone_returns
        before = block[-1] if block else before
        block = following


class _Counting:
    """The count so far, and what the next block has to know of the last one."""

    def __init__(self, delimiter: str, first_line: int) -> None:
        self.records = Records()
        self.first_line = first_line
        self.line = first_line  # where the next block begins
        self.field_line = 0  # where the last quoted field begins
        self.in_quotes = False
        self.in_line = False
        self.borders = np.zeros(256, bool)  # the bytes that may stand beside a quote, outside of the quoted text
        self.borders[[ord(delimiter), _NEWLINE, _QUOTE]] = True

    def read(self, text: bytes) -> None:
        """Count the bytes of ``text`` between its first and its last."""
        if (zero := text.find(b"\0", 1, -1)) >= 0:
            found, remedy = "a zero byte", "save it as text in UTF-8; UTF-16 and damaged files hold zeros"
            self._refuse("table.text", self._line_of(text, zero), found, "text in UTF-8", remedy)
            return
        if self.in_quotes or text.find(b'"', 1, -1) >= 0 or text.find(b"\n\n", 0, -1) >= 0:
            lines = self._read_quoted(text)
        else:
            lines = text.count(b"\n", 1, -1)
            self.records.count += lines
        if len(text) > 2:
            self.in_line = text[-2] != _NEWLINE
        self.line += lines

    def end(self) -> None:
        """Count the last record, which need not end in a line end."""
        if self.in_quotes:
            swallowed = self.line - self.field_line - (not self.in_line)
            swallows = f" and swallows the {counted(swallowed, 'line')} after it" if swallowed > 0 else ""
            found = f"a quote that is never closed{swallows}"
            self._refuse("table.quote", self.field_line, found, _WANTED_QUOTES, "close the quote, or remove it")
        self.records.count += self.in_line
        if self.records.lone_returns >= self.line - self.first_line:  # all line ends are
            self.records.lone_returns = 0

    def _read_quoted(self, text: bytes) -> int:
        """Return the number of line ends."""
        view = np.frombuffer(text, np.uint8)
        quotes = np.flatnonzero(view[1:-1] == _QUOTE) + 1
        opening, closing = (quotes[1::2], quotes[::2]) if self.in_quotes else (quotes[::2], quotes[1::2])
        stray = opening[~self.borders[view[opening - 1]]][:1]
        followed = closing[~self.borders[view[closing + 1]]][:1]
        starts = opening[view[opening - 1] != _QUOTE]  # where it is a quote, the two are one within the text
        if stray.size and not (followed.size and followed[0] < stray[0]):
            self._refuse_stray(text, int(stray[0]))
        elif followed.size:
            before = starts[starts < followed[0]]
            self._refuse_followed(text, int(followed[0]), self._line_of(text, before[-1]) if before.size else None)
        newlines = np.flatnonzero(view[1:-1] == _NEWLINE) + 1
        self._count_lines(view, quotes, newlines)
        if starts.size:
            self.field_line = self.line + int(np.searchsorted(newlines, starts[-1]))
        self.in_quotes ^= bool(len(quotes) % 2)
        return len(newlines)

    def _count_lines(self, view: NDArray[np.uint8], quotes: NDArray[np.intp], newlines: NDArray[np.intp]) -> None:
        quoted = (np.searchsorted(quotes, newlines) + self.in_quotes) % 2 == 1
        empty = ~quoted & (view[newlines - 1] == _NEWLINE)
        if not self.records.empty_lines and empty.any():
            self.records.first_empty_line = self.line + int(np.argmax(empty))
        self.records.empty_lines += int(empty.sum())
        self.records.multiline |= bool(quoted.any())
        self.records.count += int(len(newlines) - quoted.sum() - empty.sum())

    def _refuse_stray(self, text: bytes, at: int) -> None:
        found = f"a quote within an unquoted field ({_near(text, at)})"
        remedy = "put the whole field in quotes and write the quote twice, or remove it"
        self._refuse("table.quote", self._line_of(text, at), found, _WANTED_QUOTES, remedy)

    def _refuse_followed(self, text: bytes, at: int, begin: int | None) -> None:
        begin, end = begin or self.field_line, self._line_of(text, at)
        where = f" in line {end} and swallows the {counted(end - begin, 'line')} after it" if end > begin else ""
        found = f"a quoted field that ends within text{where} ({_near(text, at)})"
        escaped = text[at - 1] == _BACKSLASH
        remedy = 'write a quote within a field as "", not with a backslash' if escaped else "close or remove the quote"
        self._refuse("table.quote", begin, found, _WANTED_QUOTES, remedy)

    def _refuse(self, code: str, line: int, found: str, wanted: str, remedy: str) -> None:
        self.records.breach = Violation(code, f"line {line}", found, wanted, remedy)

    def _line_of(self, text: bytes, at: int) -> int:
        return self.line + text.count(b"\n", 1, at)


def counted(count: int, noun: str) -> str:
    """Return a number of things in words.

    >>> counted(1, "line"), counted(3, "line")
    ('1 line', '3 lines')
    """
    return f"{count} {noun}{'s' * (count != 1)}"


def _near(text: bytes, at: int) -> str:
    begin, end = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
    line = text[max(begin, at - _SHOWN_NBYTES) : min(end if end >= 0 else len(text), at + _SHOWN_NBYTES)]
    return shown(line.decode(errors="replace").strip())
