"""What every command shares that takes no parser of options: opening the store, and how answers are spelled."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from smalti.notebook.words import readable

if TYPE_CHECKING:
    from smalti.store import Record, Store


def the_store(place: str | None) -> Store:
    """Open the store that was named, else the bucket that is set, else the folder of the root around the current one.

    Where a bucket is set and the folder is a store, too, which of the two is meant is said on stderr.
    """
    from smalti import open_store
    from smalti.settings import places

    if place:
        return open_store(place)
    found = places()
    if found.store_place != str(found.store) and (found.store / "store.json").is_file():
        warn(f"smalti: the store is {found.store_place}, as s3_bucket is set; --store {found.store} means the folder")
    return open_store(found.store_place)


def print_json(document: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def warn(sentence: str) -> None:
    """Print a sentence for a person beside the answer, on stderr."""
    print(sentence, file=sys.stderr)


def printable(text: str) -> str:
    """Return foreign text as it is, quoted and escaped where a terminal might obey it."""
    return text if text.isprintable() else ascii(text)


def counted(count: int, noun: str) -> str:
    """Return a number and its noun.

    >>> counted(1, "object"), counted(0, "object")
    ('1 object', '0 objects')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def described(record: Record) -> str:
    """Return what an object is, and its size."""
    from smalti.provenance.facts import described as what

    return f"{what(record)}, {readable(shown_nbytes(record))}"


def shown_nbytes(record: Record) -> int:
    """Return the size of a value's content; of a JSON document, which is all header, that of its text."""
    from smalti.codecs.own_files import document_text

    text = document_text(record)
    return record.nbytes if text is None else len(text.encode())
