"""What a store holds: an object (header, buffers, one ordinary file), a tree of objects, and a reference to either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.canonical import Json
from smalti.store.segments import Segments, pieces_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Sizes = NDArray[np.int64]  # of leaves, in bytes

MIN_LEAF_NBYTES = 16 * 1024  # of the leaves that are gathered from shorter rows
MAX_LEAF_NBYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes that count: C order, little endian, cut into leaves along rows of ``row_nbytes``.

    Attributes:
        data: lies in several places where gathering it would take as much memory again.
        leaves: ids and sizes of the leaves, where whoever made the bytes has hashed them already.
    """

    data: memoryview | Segments
    row_nbytes: int = 1
    leaves: tuple[bytes, Sizes] | None = None


@dataclass(frozen=True, slots=True)
class ArrayInside:
    """An array that lies in opaque bytes, such as a member of an NPZ archive.

    Attributes:
        dtype: as the header of an array spells it.
        shape: its lengths, in C order.
        runs: (offset in the bytes, nbytes) of the pieces which, in this order, are its little-endian C-order content.
    """

    dtype: Json
    shape: tuple[int, ...]
    runs: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One object on its way into the store.

    Attributes:
        header: the value's canonical description (kind, dtype, shape, names); part of its address.
        filename: what the ordinary file is called, e.g. ``data.npy``.
        pieces: the file's content in order: ``bytes`` is framing that the header implies (a file
            format's own header), ``Buffer`` is content that is cut into leaves; none for what is all header.
        spooled: a file that holds the pieces already and may be moved into the store.
        sha256: whether the header is to hold the SHA-256 of the content, which is found while it is hashed.
        parts: arrays that lie in the content, to be stored once: by themselves, and referred to from here.
    """

    header: dict[str, Any]
    filename: str = ""
    pieces: tuple[bytes | Buffer, ...] = ()
    spooled: Path | None = None
    sha256: bool = False
    parts: tuple[Part, ...] = ()

    @property
    def buffers(self) -> list[Buffer]:
        """The content, without framing."""
        return [piece for piece in self.pieces if isinstance(piece, Buffer)]

    @property
    def nbytes(self) -> int:
        """The size of the content."""
        return sum(buffer.data.nbytes for buffer in self.buffers)

    @property
    def file_nbytes(self) -> int:
        """The size of the file."""
        return sum(len(piece) if isinstance(piece, bytes) else piece.data.nbytes for piece in self.pieces)

    @property
    def file(self) -> list[bytes | memoryview]:
        """The content of the file, in order."""
        pieces: list[bytes | memoryview] = []
        for piece in self.pieces:
            pieces += pieces_of(piece.data) if isinstance(piece, Buffer) else [piece]
        return pieces


@dataclass(frozen=True, slots=True)
class Part:
    """An array that lies in opaque bytes. Only a hint: a wrong one costs space, and never makes a value wrong.

    Attributes:
        encoded: the array as it is stored by itself; its buffer is a view of the bytes.
        runs: (offset in the bytes, nbytes) of the pieces that are the array's content, in its order.
    """

    encoded: Encoded
    runs: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """Named children plus JSON attributes; ``type`` names the codec that turns it into a Python object.

    Children are values of any kind, other trees included, or a ``Ref`` to something already stored.

    Attributes:
        order: the names of children and attributes as they were given, where they are mixed; no part of the address.
    """

    children: Mapping[str, Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    type: str | None = None
    order: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        from smalti.notebook import shown

        return shown(self)


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

    def _repr_html_(self) -> str:
        from smalti.notebook import Entry, html, readable

        return html(Entry(self.kind, f"{readable(self.nbytes)}, {self.digest}"))
