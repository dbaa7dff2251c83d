"""The array in an NPY file, whose header is matched against the one form that writers use: nothing is evaluated.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from smalti.canonical import Json
from smalti.store.values import ArrayInside

_MAGIC = b"\x93NUMPY"
_LENGTH_NBYTES = {1: 2, 2: 4, 3: 4}  # by version: of the number that says how long the header is
_LONGEST_HEADER = 10_000  # numpy.load refuses a longer one
_HEADER = re.compile(
    r"\{\s*'descr':\s*(?:'(?P<plain>[^'\\]{1,32})'|\[(?P<fields>.+)\])\s*,\s*'fortran_order':\s*False\s*,"
    r"\s*'shape':\s*\((?P<shape>[0-9, ]*)\)\s*,?\s*\}\s*"
)
# A field of a structure. Those within another structure, and names that are escaped, are not taken.
_FIELD = re.compile(r"\('([^'\\]+)', '([^'\\]{1,32})'(?:, \(([0-9, ]+)\))?\)")
_MOST_DIGITS = 18


def npy_arrays(data: memoryview) -> Iterator[ArrayInside]:
    """Yield the array of an NPY file."""
    if array := npy_array(data, 0, len(data)):
        yield array


def npy_array(data: memoryview, start: int, nbytes: int) -> ArrayInside | None:
    """Return the array of the NPY file that fills ``nbytes`` from ``start``; None where its header is another."""
    head = bytes(data[start : start + min(nbytes, len(_MAGIC) + 2 + 4)])
    width = _LENGTH_NBYTES.get(head[6], 0) if head.startswith(_MAGIC) and len(head) == len(_MAGIC) + 2 + 4 else 0
    begin = len(_MAGIC) + 2 + width
    length = int.from_bytes(head[len(_MAGIC) + 2 : begin], "little")
    if not width or length > _LONGEST_HEADER or begin + length > nbytes:
        return None
    encoding = "latin-1" if head[6] < 3 else "utf-8"
    text = bytes(data[start + begin : start + begin + length]).decode(encoding, "backslashreplace")  # matches nothing
    header = _HEADER.fullmatch(text)
    if header is None:
        return None
    dtype: Json = header["plain"] or _fields(header["fields"])
    shape = _lengths(header["shape"])
    if dtype is None or shape is None:
        return None
    return ArrayInside(dtype, shape, ((start + begin + length, nbytes - begin - length),))


def _fields(text: str) -> Json:
    """Return the fields of a structure as [name, dtype] or [name, dtype, shape]; None where there is anything else."""
    found = list(_FIELD.finditer(text))
    if ", ".join(field[0] for field in found) != text:
        return None
    described: list[Json] = []
    for name, base, written in (field.groups() for field in found):
        shape = _lengths(written or "")
        if shape is None:
            return None
        lengths: list[list[Json]] = [[*shape]] if shape else []
        described.append([name, base, *lengths])
    return described


def _lengths(text: str) -> tuple[int, ...] | None:
    """Return the lengths in the text of a tuple of numbers; None where one is none, or too long."""
    numbers = [number.strip() for number in text.removesuffix(",").split(",")] if text.strip() else []
    return tuple(map(int, numbers)) if all(n.isdigit() and len(n) <= _MOST_DIGITS for n in numbers) else None
