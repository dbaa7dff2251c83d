"""What a store holds: an object (header, buffers, one ordinary file), a tree of objects, and a reference to either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smalti.canonical import Json


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes that count: C order, little endian, cut into leaves along rows of ``row_nbytes``."""

    data: memoryview
    row_nbytes: int = 1


@dataclass(frozen=True, slots=True)
class Encoded:
    """One object on its way into the store.

    Attributes:
        header: the value's canonical description (kind, dtype, shape, names); part of its address.
        filename: what the ordinary file is called, e.g. ``data.npy``.
        pieces: the file's content in order: ``bytes`` is framing that the header implies (a file
            format's own header), ``Buffer`` is content that is cut into leaves.
    """

    header: dict[str, Json]
    filename: str
    pieces: tuple[bytes | Buffer, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """Named children plus JSON attributes; ``type`` names the codec that turns it into a Python object.

    Children are values of any kind, other trees included, or a ``Ref`` to something already stored.
    """

    children: Mapping[str, Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to a stored value.

    Attributes:
        digest: the value's address, ``sha256:<hex>``.
        kind: ``array``, ``table``, ``bytes``, ``json``, ``weights`` or ``tree``.
        nbytes: size of the content, children included.
        new_bytes: bytes that the put which returned this reference added to the store; 0 for a look-up.
    """

    digest: str
    kind: str
    nbytes: int
    new_bytes: int = 0

    def __str__(self) -> str:
        return self.digest
