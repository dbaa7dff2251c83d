"""Small keys beside the objects of a bucket: when a put last found one, who removes one, how one is being written."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from smalti.digest import PREFIX, is_address
from smalti.errors import Unavailable
from smalti.store.backends.s3.bucket import Bucket
from smalti.store.format.record import METADATA

if TYPE_CHECKING:
    from obstore import ObjectMeta

_TOUCHED, _REMOVING, _WRITING, _CLOCK = "touched/", "removing/", "writing/", "clock"
_REMOVAL_SECONDS = 300.0  # a removal's mark that is older was left by a process that died
_MARGIN_SECONDS = 120.0  # more than a request takes, with all its tries: until then a removal ends by itself
_CLOCK_SECONDS = 600.0  # so long ours goes as fast as the server's
_LOOK_AGAIN_SECONDS = 0.2
_SETTLED_SECONDS = 3.0  # what this process wrote before is older than ``now``
_SLOWEST_WRITE_SECONDS = 3600.0  # from an object's first key to its last, which is a moment where nothing hangs


class ServerClock:
    """The server's clock, read from the time it gives a key, which is in whole seconds, and kept by a monotonic one."""

    def __init__(
        self,
        bucket: Bucket,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bucket = bucket
        self._monotonic = monotonic
        self._sleep = sleep
        self._read: tuple[float, float] | None = None  # the server's time, ours when it was known
        self._latest = 0.0  # that was seen of a key
        self._wrote_at = -math.inf  # by ours

    def now(self) -> float:
        """Return a time, in seconds since 1970, that is past for the server, by little more than a second."""
        if self._read is None or self._monotonic() - self._read[1] > _CLOCK_SECONDS:
            self._bucket.put(_CLOCK, [b""])
            found = self._bucket.head(_CLOCK)
            if found is None:
                raise Unavailable(
                    f"{self._bucket.location}/{_CLOCK} is not there, though just written; check the server."
                )
            self._read = found["last_modified"].timestamp(), self._monotonic()
        return self._read[0] + self._monotonic() - self._read[1]

    def seen(self, last_modified: float) -> float:
        """Return ``latest`` of a key."""
        self._latest = max(self._latest, latest(last_modified))
        return latest(last_modified)

    def wrote(self) -> None:
        """Note that a key was written by this process."""
        self._wrote_at = self._monotonic()

    def after_all(self) -> float:
        """Return a time that is past for the server when this returns, and not before ``latest`` of any key that was
        seen or written here so far; that takes a second where one of them is that new."""
        if self._monotonic() - self._wrote_at > _SETTLED_SECONDS and self.now() >= self._latest:
            return self.now()
        self._read = None
        self.now()
        assert self._read
        self._sleep(1.0)
        return self._read[0] + 1.0


def latest(last_modified: float) -> float:
    """Return until when a key may have been written that has this time, of which S3 counts whole seconds."""
    return math.floor(last_modified) + 1.0


@dataclass(frozen=True, slots=True)
class RemovalRight:
    """The right to remove an object, for as long as nobody takes its holder for dead."""

    until: float
    monotonic: Callable[[], float]

    def is_held(self) -> bool:
        """Tell whether it is safe to go on."""
        return self.monotonic() < self.until


class Leases:
    """What tells writers and collections of each other; all ages are differences of times that the server gave."""

    def __init__(
        self,
        bucket: Bucket,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bucket = bucket
        self._monotonic = monotonic
        self.clock = ServerClock(bucket, monotonic, sleep)

    def renew(self, address: str) -> None:
        """Note that an object was found by a put, and wait until nobody removes it: now it stays, or it is gone."""
        self._bucket.put(_key(_TOUCHED, address), [b""])
        self.clock.wrote()
        self.wait_for_removal(address)

    def renewed_at(self, address: str) -> float:
        """Return when that was last noted at the latest, by the server's clock; 0 where it never was."""
        found = self._bucket.listed(_key(_TOUCHED, address))
        return self.clock.seen(found["last_modified"].timestamp()) if found else 0.0

    def forget(self, address: str) -> None:
        """Forget when an object was found: it is gone."""
        self._bucket.delete(_key(_TOUCHED, address))

    @contextmanager
    def removal(self, address: str) -> Iterator[RemovalRight | None]:
        """Mark an object while it is removed, so that puts of it wait; give None where another process does that."""
        mark, ours = _key(_REMOVING, address), uuid.uuid4().hex.encode()
        lease = RemovalRight(self._monotonic() + _REMOVAL_SECONDS - _MARGIN_SECONDS, self._monotonic)
        if not self._bucket.create(mark, ours):
            found = self._bucket.get(mark)
            if found is None or not self._is_old(found.at, _REMOVAL_SECONDS):
                yield None
                return
            lease = RemovalRight(self._monotonic() + _REMOVAL_SECONDS - _MARGIN_SECONDS, self._monotonic)
            if not self._bucket.replace(mark, ours, found.content):
                yield None
                return
        try:
            yield lease
        finally:
            if lease.is_held():  # else it may be another's by now
                self._bucket.delete(mark)

    def wait_for_removal(self, address: str) -> None:
        """Wait until nobody removes an object.

        Raises:
            Unavailable: that takes too long.
        """
        until = self._monotonic() + _REMOVAL_SECONDS + _MARGIN_SECONDS
        while self.is_being_removed(address):
            if self._monotonic() > until:
                raise Unavailable(
                    f"{address} is being removed from {self._bucket.location} all the time; try again later."
                )
            time.sleep(_LOOK_AGAIN_SECONDS)

    def agree(self, address: str, form: bytes) -> bytes:
        """Return the form that the first of an object's writers wanted, which is this one where there is no other."""
        mark = _key(_WRITING, address)
        while not self._bucket.create(mark, form):
            if found := self._bucket.get(mark):
                return found.content
        return form

    def insist(self, address: str, form: bytes) -> None:
        """Replace a form that nobody can write any more."""
        self._bucket.put(_key(_WRITING, address), [form])

    def written(self, address: str) -> None:
        """Let the form go: the object is there."""
        self._bucket.delete(_key(_WRITING, address))

    def sweep(self, older_than_seconds: float) -> None:
        """Remove what processes that died left behind: keys of objects without ``metadata.json``, and marks."""
        seconds = max(older_than_seconds, _SLOWEST_WRITE_SECONDS)
        there = set()
        for digits, keys in groupby(self._bucket.list("data"), lambda found: found["path"].split("/")[-2]):
            found = list(keys)
            if any(key["path"].endswith(f"/{METADATA}") for key in found):
                there.add(digits)
            elif is_address(PREFIX + digits) and self._are_old(found, seconds):
                self._remove_remains(PREFIX + digits, seconds)
        for folder in (_TOUCHED, _REMOVING, _WRITING):
            for key in self._bucket.list(folder):
                if self._are_old([key], seconds) and not (folder == _TOUCHED and key["path"].split("/")[-1] in there):
                    self._bucket.delete(key["path"])

    def _remove_remains(self, address: str, seconds: float) -> None:
        """Remove the keys of an object that never came to be, unless a put has begun to write them meanwhile.

        The mark makes a put that begins from now on wait before it looks at what it wrote.
        """
        digits = address.removeprefix(PREFIX)
        with self.removal(address) as lease:
            found = list(self._bucket.list(f"data/{digits[:2]}/{digits}"))
            begun = not self._are_old(found, seconds) or any(key["path"].endswith(f"/{METADATA}") for key in found)
            for key in found if lease and not begun else ():
                if lease and lease.is_held():
                    self._bucket.delete(key["path"])

    def is_being_removed(self, address: str) -> bool:
        """Tell whether a process that may still live is removing an object."""
        found = self._bucket.listed(_key(_REMOVING, address))
        return found is not None and not self._are_old([found], _REMOVAL_SECONDS)

    def _are_old(self, keys: list[ObjectMeta], seconds: float) -> bool:
        return all(self._is_old(key["last_modified"].timestamp(), seconds) for key in keys)

    def _is_old(self, last_modified: float, seconds: float) -> bool:
        return self.clock.now() - latest(last_modified) >= seconds


def _key(folder: str, address: str) -> str:
    return folder + address.removeprefix(PREFIX)
