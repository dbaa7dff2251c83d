"""When a store was last checked, how thoroughly, and what was found: small documents that every check leaves behind."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Literal

from smalti.digest import is_address
from smalti.errors import Damaged, NotFound, Unavailable
from smalti.store.documents import Documents
from smalti.store.format.sealed import seal, unseal

Thoroughness = Literal["quick", "sampled", "full"]

FOLDER = "checked/"
_KINDS: tuple[Thoroughness, ...] = ("quick", "sampled", "full")
_MOST_DAMAGED = 1000


@dataclass(frozen=True, slots=True)
class Checked:
    """The last check of one kind that ran to its end.

    Attributes:
        kind: ``quick``, ``sampled`` or ``full``; see :func:`smalti.store.maintenance.fsck.fsck`.
        at: when it ended, UTC, ISO 8601.
        seconds: how long it took.
        objects, nbytes: what it read.
        problems: how many it found and did not repair.
        damaged: the objects among them, at most 1,000; a sampled check reads them again each time.
    """

    kind: Thoroughness
    at: str
    seconds: float
    objects: int
    nbytes: int
    problems: int
    damaged: tuple[str, ...] = ()


def remember(documents: Documents, checked: Checked) -> None:
    """Write down a check in place of the last one of its kind; a store that may only be read stays as it is."""
    document = {**asdict(checked), "damaged": list(checked.damaged[:_MOST_DAMAGED])}
    put(documents, f"{FOLDER}{checked.kind}.json", document)


def last_checks(documents: Documents) -> dict[Thoroughness, Checked]:
    """Return the last check of each kind that there was; what cannot be read counts as none."""
    found: dict[Thoroughness, Checked] = {}
    for kind in _KINDS:
        with suppress(NotFound, Damaged, Unavailable, LookupError, TypeError, ValueError):
            document = unseal(documents.read(key := f"{FOLDER}{kind}.json"), key)
            damaged = tuple(address for address in document["damaged"] if is_address(address))
            found[kind] = Checked(**{**document, "kind": kind, "damaged": damaged})
    return found


def put(documents: Documents, key: str, document: dict[str, object]) -> None:
    """Write a note of a check; of two checks at once one has the last word."""
    content = seal(document)
    with suppress(Unavailable, NotFound):
        if not documents.create(key, content):
            documents.replace(key, content, documents.read(key))
