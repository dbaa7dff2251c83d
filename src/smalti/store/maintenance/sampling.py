"""Which objects a sampled check reads, so that a few checks in a row have read everything."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from smalti.errors import Damaged, NotFound, Refused
from smalti.store.documents import Documents
from smalti.store.format.sealed import unseal
from smalti.store.maintenance.checked import FOLDER, put
from smalti.store.maintenance.notes import Read
from smalti.store.objects.object_store import ObjectStore

_KEY = f"{FOLDER}round.json"
_NOTED_EVERY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Sample:
    """How much one sampled check reads.

    Attributes:
        checks: after so many checks that no bound stopped, every object has been read whole.
        most_nbytes: content after which nothing more is begun; None: no bound.
        most_seconds: time after which nothing more is begun; None: no bound.
    """

    checks: int = 30
    most_nbytes: int | None = None
    most_seconds: float | None = None

    def __post_init__(self) -> None:
        """Raise Refused where a check could never read anything."""
        if self.checks < 1:
            raise Refused(f"a sample takes one part of several, and {self.checks} parts are none; give 1 or more.")


class Round:
    """A way through all objects in the order of their addresses, which each check goes on with.

    An address is a digest, so that the next few in order are a random choice of what is stored. A note says up to which
    address everything has been read since the round began, and since when everything has been read at least once.
    """

    def __init__(self, objects: ObjectStore, documents: Documents, sample: Sample, again: Collection[str]) -> None:
        """Go on where the last check stopped.

        Args:
            again: objects that were damaged when they were last read; they are read first, each time.
        """
        self._objects = objects
        self._documents = documents
        self._sample = sample
        self._again = again
        self._started = self._saved_at = time.monotonic()
        self._upto, self._began_at = "", time.time()
        self._whole_since: float | None = None
        with suppress(NotFound, Damaged, LookupError, TypeError, ValueError):  # then a round begins
            note = unseal(documents.read(_KEY), _KEY)
            since = note["whole_since"]
            self._upto, self._began_at = str(note["upto"]), float(note["began_at"])
            self._whole_since = None if since is None else float(since)
        self._last = ""
        self._first: frozenset[str] = frozenset()
        self._nbytes = 0
        self.read = objects.verify  # whole

    def choose(self, addresses: Sequence[str]) -> list[str]:
        """Return what this check reads: what was damaged, then the next part of the round."""
        self._last = addresses[-1] if addresses else ""
        if self._upto >= self._last:
            self._end()
            self._upto, self._began_at = "", time.time()
        part = list(addresses[bisect_right(addresses, self._upto) :])
        part = part[: math.ceil(len(addresses) / self._sample.checks)]
        self._first = frozenset(self._again).intersection(addresses).difference(part)
        return [*sorted(self._first), *part]

    def take(self, one: Read, nbytes: int) -> None:
        """Note that an object was read."""
        self._nbytes += nbytes
        if one.address not in self._first:
            self._upto = max(self._upto, one.address)
        if time.monotonic() - self._saved_at > _NOTED_EVERY_SECONDS:
            self.save()

    @property
    def whole_since(self) -> str:
        """Since when everything was written or read whole, UTC, ISO 8601; "" before the first round has ended."""
        since = self._whole_since
        return "" if since is None else datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")

    @property
    def is_spent(self) -> bool:
        """Whether a bound is reached."""
        sample = self._sample
        of_nbytes = sample.most_nbytes is not None and self._nbytes >= sample.most_nbytes
        return of_nbytes or (
            sample.most_seconds is not None and time.monotonic() - self._started >= sample.most_seconds
        )

    def save(self) -> None:
        """Leave a note for the next check; where the store may only be read, that one begins at the same place."""
        self._saved_at = time.monotonic()
        if self._upto >= self._last:
            self._end()
        note = {"upto": self._upto, "began_at": self._began_at, "whole_since": self._whole_since}
        put(self._documents, _KEY, note)

    finish = save

    def _end(self) -> None:
        if self._upto:
            self._whole_since = self._began_at
