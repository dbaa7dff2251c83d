"""Where the parts of a value lie in a crate: ordinary files, trees as folders, each object once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smalti.errors import NotFound
from smalti.provenance.facts import attributes_of

if TYPE_CHECKING:
    from smalti.store import Record, Store

DATA, MANIFESTS = "data", "manifests"
ABOUT = "smalti.json"  # what is needed to bring the values back
PREVIEW = "ro-crate-preview.html"
METADATA = "ro-crate-metadata.json"
README = "README.md"
ATTRS = "attrs.json"
FORMAT = 2

_UNSAFE = re.compile(r"[^A-Za-z0-9 ._()+=@,-]+")
_LONGEST_NAME = 100
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Placed:
    """An object of the store, and where it lies in the crate.

    Attributes:
        record: its own.
        path: of its file, or of the folder of a tree (with "/" at the end).
        name: what people call it.
    """

    record: Record
    path: str
    name: str

    @property
    def is_file(self) -> bool:
        return not _is_tree(self.record)


@dataclass(slots=True)
class Layout:
    """The objects of a crate by address.

    Attributes:
        placed: each object that is included.
        texts: other files: path -> content, such as the attributes of a tree.
    """

    placed: dict[str, Placed] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)

    def files(self) -> Iterator[Placed]:
        """Yield what becomes a file."""
        return (one for one in self.placed.values() if one.is_file)

    @property
    def nbytes(self) -> int:
        """The size of the content of all files."""
        return sum(one.record.nbytes for one in self.files())


def layout_of(store: Store, wanted: Iterable[str], called: Mapping[str, str]) -> Layout:
    """Return where values, and everything that they consist of, lie; an object of several trees lies in the first.

    Args:
        wanted: addresses of values.
        called: address -> what people call it.

    Raises:
        NotFound, Damaged: an object is not there, or its record is not what was written.
    """
    layout = Layout()
    tops: set[str] = set()
    for address in wanted:
        if address in layout.placed:
            continue
        record = store.record(address)
        name = called.get(address) or str(record.header.get("type") or record.kind)
        top = _part(f"{_safe(name)[:40]}-{address[7 : 7 + _DIGITS]}", record.ending, tops)
        _place(store, record, f"{DATA}/{top}", name, layout)
    return layout


def _place(store: Store, record: Record, path: str, name: str, layout: Layout) -> None:
    """Place an object and those below it; without recursion, since trees may be deep."""
    waiting = [(record, path, name)]
    while waiting:
        record, path, name = waiting.pop()
        if record.address in layout.placed:
            continue
        if not _is_tree(record):
            layout.placed[record.address] = Placed(record, path, name)
            continue
        folder = f"{path}/"
        layout.placed[record.address] = Placed(record, folder, name)
        attrs = attributes_of(record)
        is_folder, is_raw = (record.header.get("type") == kind for kind in ("folder", "raw"))
        taken: set[str] = set()
        if attrs and not is_folder:
            taken.add(ATTRS)
            layout.texts[folder + ATTRS] = json_text(attrs)
        below = []
        for child_name, address in record.children.items():
            if address in layout.placed:
                continue
            child = _child(store, address, record)
            shown = str(attrs.get("filename") or child_name) if is_raw and child_name == "content" else child_name
            suffix = "" if is_folder or is_raw else child.ending
            below.append((child, folder + _part(_safe(shown), suffix, taken), shown))
        waiting += reversed(below)


def _is_tree(record: Record) -> bool:
    return record.kind == "tree"


def _child(store: Store, address: str, of: Record) -> Record:
    try:
        return store.record(address)
    except NotFound as error:
        raise NotFound(
            f"{of.address} consists of {address} among others, which is not in the store at {store.place}; pull it, or "
            "write the crate with --data reference."
        ) from error


def _safe(name: str) -> str:
    """Return foreign text as one plain part of a path, which it may share with others.

    >>> _safe("../a b\\x00é"), _safe(".."), _safe("")
    ('.._a b_', '__', '_')
    """
    plain = _UNSAFE.sub("_", name)[:_LONGEST_NAME].rstrip(" .") or "_" * max(1, min(len(name), 2))
    return plain.lstrip(" ") or "_"


def _part(name: str, suffix: str, taken: set[str]) -> str:
    """Return a name that nothing else in its folder has, also where case makes no difference."""
    part, number = name + suffix, 1
    while part.casefold() in taken:
        number += 1
        part = f"{name}-{number}{suffix}"
    taken.add(part.casefold())
    return part


def json_text(document: object, *, sort: bool = True) -> bytes:
    """Return indented JSON, with sorted keys unless their order matters."""
    import json

    return (json.dumps(document, indent=2, sort_keys=sort, ensure_ascii=False) + "\n").encode()
