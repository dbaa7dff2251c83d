"""A value as files: the one it is kept in, or for a tree a folder of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smalti.codecs.checkpoint import CheckpointCodec
from smalti.codecs.checkpoint_folder import files_of
from smalti.errors import Refused
from smalti.store.format.record import Record
from smalti.store.store import Store

ATTRS = "attrs.json"

Write = Callable[[str, Path], None]


def write_value(store: Store, ref: str, target: Path, write: Write | None = None) -> None:
    """Write a value, verified: an array to ``.npy``, a table to ``.arrow``, bytes as they were, a tree to a folder,
    a checkpoint to that of :mod:`smalti.codecs.checkpoint_folder`. A ``/`` in the name of a child leads into a folder.

    Args:
        target: does not exist; its folder does.
        write: puts the file of the object with an address somewhere; by default a copy that may be changed.

    Raises:
        Refused: there is something at ``target``, or a child has a name that no file can have.
        NotFound, Ambiguous, Damaged, Unavailable: as the store does.
    """
    _write(store, store.record(ref), target, write or store.write_file)


def attributes(record: Record) -> dict[str, Any]:
    """Return the attributes of a tree; none of another value."""
    attrs = record.header.get("attrs")
    return dict(attrs) if isinstance(attrs, dict) else {}


def document_text(record: Record) -> str | None:
    """Return a JSON document, or a mapping of nothing else, as a file for people to read; None for another value."""
    if record.kind == "json":
        value = record.header["value"]
    elif record.kind == "tree" and not record.children and not record.header.get("type"):
        value = attributes(record)
    else:
        return None
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _write(store: Store, record: Record, target: Path, write: Write) -> None:
    if record.kind != "tree":
        write(record.address, target)
        return
    if os.path.lexists(target):
        raise Refused(f"{target} exists already; name another place.")
    target.mkdir()
    if record.header.get("type") == CheckpointCodec.type_name:
        for name, pieces in files_of(store.get(record.address)).items():
            (target / name).write_bytes(b"".join(pieces))
        return
    for name, address in record.children.items():
        child = store.record(address)
        place = target / _place(name, child.ending)
        place.parent.mkdir(parents=True, exist_ok=True)
        _write(store, child, place, write)
    text = json.dumps(attributes(record), indent=2, ensure_ascii=False) + "\n"
    (target / ATTRS).write_text(text, encoding="utf-8")


def _place(name: str, suffix: str) -> str:
    """A child's name is foreign text: it becomes a path of plain parts, or is refused."""
    if not {"", ".", "..", ATTRS}.isdisjoint(name.split("/")) or "\0" in name:
        raise Refused(f"the child {name!r} cannot be written as a file; read it in Python with store.get.")
    return name + suffix
