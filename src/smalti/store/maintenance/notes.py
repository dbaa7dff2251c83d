"""How far a full check has come, left behind for the one that goes on."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Protocol

from smalti.errors import Damaged, NotFound, Unavailable
from smalti.store.documents import Documents
from smalti.store.format.record import Record
from smalti.store.format.sealed import seal, unseal
from smalti.store.objects.object_store import ObjectStore

_FOLDER = "checks/"
_HOLD_FOR_SECONDS = 7 * 24 * 3600.0
_NOTED_EVERY_SECONDS = 20.0


class Read(Protocol):
    """What reading an object has shown."""

    @property
    def address(self) -> str: ...
    @property
    def damage(self) -> str: ...


class Notes:
    """How far a full check has come, left behind as a document for the one that goes on.

    A note says up to which address everything was read whole since the check began, and what of that was damaged.
    """

    is_spent = False  # it reads everything

    def __init__(self, objects: ObjectStore, documents: Documents) -> None:
        self._objects = objects
        self._documents = documents
        self._began_at = self._saved_at = time.time()
        self._upto, self._damaged = "", set[str]()
        for key in documents.keys(_FOLDER):
            with suppress(NotFound, Damaged, LookupError, TypeError):  # what is not known to have been read is read
                note = unseal(documents.read(key), key)
                if time.time() - note["began_at"] < _HOLD_FOR_SECONDS and note["upto"] > self._upto:
                    self._began_at, self._upto, self._damaged = note["began_at"], note["upto"], set(note["damaged"])
        self._read_before = self._upto
        self._damaged_before = frozenset(self._damaged)

    def read(self, address: str) -> Record:
        """Read an object whole; of one that was read before, and that no put has found since, only the record."""
        was_sound = address <= self._read_before and address not in self._damaged_before
        if was_sound and self._objects.backend.lease(address, renew=False) < self._began_at:
            return self._objects.record(address)
        return self._objects.verify(address)

    def take(self, one: Read, nbytes: int) -> None:
        """Note what reading the next object has shown."""
        self._upto = max(self._upto, one.address)
        (self._damaged.add if one.damage else self._damaged.discard)(one.address)
        if time.time() - self._saved_at > _NOTED_EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        """Leave a note in place of earlier ones."""
        self._saved_at = time.time()
        earlier = list(self._documents.keys(_FOLDER))
        note = {"began_at": self._began_at, "upto": self._upto, "damaged": sorted(self._damaged)}
        with suppress(Unavailable):  # a store that may only be read is checked from the beginning each time
            if self._upto:
                self._documents.create(f"{_FOLDER}{time.time_ns()}.json", seal(note))
            for key in earlier:
                self._documents.remove(key)

    def finish(self) -> None:
        """Take the notes away: the check is complete."""
        for key in list(self._documents.keys(_FOLDER)):
            self._documents.remove(key)
