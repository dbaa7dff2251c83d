"""Small keys beside the objects of a bucket: when a put last found one, who removes one, how one is being written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING

from smalti.digest import PREFIX, is_address
from smalti.errors import Unavailable
from smalti.store.backends.s3.bucket import Bucket
from smalti.store.format.record import METADATA

if TYPE_CHECKING:
    from obstore import ObjectMeta

_TOUCHED, _REMOVING, _WRITING = "touched/", "removing/", "writing/"
_REMOVAL_SECONDS = 300.0  # a removal's mark that is older was left by a process that died
_LOOK_AGAIN_SECONDS = 0.2
_SLOWEST_WRITE_SECONDS = 3600.0  # from an object's first key to its last, which is a moment where nothing hangs


class Marks:
    """What tells writers and collections of each other."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def touch(self, address: str) -> None:
        """Note that an object was found by a put."""
        self._bucket.put(_key(_TOUCHED, address), [b"%d" % time.time_ns()])

    def touched_at(self, address: str) -> float:
        """Return when that was last noted, in seconds since 1970; 0 where it never was."""
        found = self._bucket.get(_key(_TOUCHED, address))
        return 0.0 if found is None else int(found.content) / 1e9 if found.content.isdigit() else found.at

    def forget(self, address: str) -> None:
        """Forget when an object was found: it is gone."""
        self._bucket.delete(_key(_TOUCHED, address))

    @contextmanager
    def removal(self, address: str) -> Iterator[bool]:
        """Mark an object while it is removed, so that puts of it wait; give False where another process does that."""
        mark = _key(_REMOVING, address)
        if not self._bucket.create(mark, b""):
            if self._is_being_removed(address):
                yield False
                return
            self._bucket.put(mark, [b""])
        try:
            yield True
        finally:
            self._bucket.delete(mark)

    def wait_for_removal(self, address: str) -> None:
        """Wait until nobody removes an object.

        Raises:
            Unavailable: that takes too long.
        """
        until = time.monotonic() + _REMOVAL_SECONDS
        while self._is_being_removed(address):
            if time.monotonic() > until:
                raise Unavailable(
                    f"{address} is being removed from {self._bucket.place} all the time; try again later."
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
        with self.removal(address) as ours:
            found = list(self._bucket.list(f"data/{digits[:2]}/{digits}"))
            begun = not self._are_old(found, seconds) or any(key["path"].endswith(f"/{METADATA}") for key in found)
            for key in found if ours and not begun else ():
                self._bucket.delete(key["path"])

    def _is_being_removed(self, address: str) -> bool:
        """Tell whether a process that may still live is removing an object."""
        found = self._bucket.head(_key(_REMOVING, address))
        return found is not None and not self._are_old([found], _REMOVAL_SECONDS)

    @staticmethod
    def _are_old(keys: list[ObjectMeta], seconds: float) -> bool:
        return all(time.time() - key["last_modified"].timestamp() >= seconds for key in keys)


def _key(folder: str, address: str) -> str:
    return folder + address.removeprefix(PREFIX)
