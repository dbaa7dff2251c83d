"""A store in an S3 bucket, laid out as in a folder: ``data/a3/a3f5.../metadata.json`` and ``data.npy`` beside it.

An object exists when its ``metadata.json`` does: that key is written last and only where there is none, and removed
first. S3 has no rename, so damage is mended by writing the right bytes over it. Large files are compressed where that
saves a tenth. Beside the layout there are ``probe`` (shows that the server refuses to replace) and the leases.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from smalti.digest import PREFIX
from smalti.errors import NotFound
from smalti.store.backends.base import Entry, Listed, folder_key
from smalti.store.backends.s3.batch import S3Batch, s3_batch
from smalti.store.backends.s3.bucket import Bucket
from smalti.store.backends.s3.failures import Forbidden
from smalti.store.backends.s3.file import S3File
from smalti.store.backends.s3.kept import ObjectKeys
from smalti.store.backends.s3.leases import Leases
from smalti.store.format.record import METADATA

if TYPE_CHECKING:
    from obstore import ObjectMeta


class S3Backend:
    """Keys below a prefix of a bucket. Attributes: see :class:`Backend`."""

    parallel = 16
    writes_ahead = False
    staging = None

    def __init__(self, bucket: Bucket, leases: Leases | None = None) -> None:
        self.bucket = bucket
        self.location = bucket.location
        self.identity = bucket.identity
        self.keys = ObjectKeys(bucket)
        self.leases = leases or Leases(bucket)
        self._creates_once = False
        self._trying = threading.Lock()

    @classmethod
    def at(cls, url: str, endpoint: str | None = None) -> S3Backend:
        """Open ``s3://bucket/prefix``; no request is made.

        Credentials that may only read are enough to read. Before the first write the server has to show that it never
        replaces what is created.

        Raises:
            Refused: the URL, endpoint or credentials are not such.
        """
        return cls(Bucket(url, endpoint))

    def clock(self) -> float:
        """Return the server's time, not before that of any lease that was seen or given here so far.

        S3 counts whole seconds: where something was found within the last, that takes one.
        """
        try:
            return self.leases.clock.after_all()
        except Forbidden:  # who may not write only looks at what could be removed
            return time.time()

    def read(self, key: str) -> bytes:
        if key.startswith("data/"):
            content = self.keys.read(key)
        else:
            found = self.bucket.get(key)
            content = found.content if found else None
        if content is None:
            raise NotFound(f"there is no {key} in the store at {self.location}.")
        return content

    def open(self, key: str) -> S3File:
        return self.keys.open(key)

    def put(self, key: str, content: bytes, *, was: bytes | None = None, synced: bool = True) -> bool:
        self._check_creation()
        return self.bucket.create(key, content) if was is None else self.bucket.replace(key, content, was)

    def delete(self, key: str, *, synced: bool = True) -> None:
        self.bucket.delete(key)

    def list(self, prefix: str) -> Iterator[Entry]:
        if prefix.startswith("data/"):
            yield from self.keys.list(prefix)
            return
        folder, _, beginning = prefix.rpartition("/")
        for found in self.bucket.list(folder, after=prefix if beginning else None):
            if not found["path"].startswith(prefix):
                return
            yield Listed(found["path"], found["size"], found["e_tag"] or "")

    def addresses(self, hex_prefix: str = "") -> Iterator[str]:
        """Yield addresses in order; what has no ``metadata.json`` is no object."""
        shard = f"data/{hex_prefix[:2]}" if len(hex_prefix) >= 2 else "data"
        first = f"{shard}/{hex_prefix}" if shard != "data" else None
        for found in self.bucket.list(shard, after=first):
            if first and not found["path"].startswith(first):
                return
            *_, digits, name = f"/{found['path']}".split("/")
            if name == METADATA and digits.startswith(hex_prefix):
                yield PREFIX + digits

    def batch(self) -> AbstractContextManager[S3Batch]:
        self._check_creation()
        return s3_batch(self.keys, self.leases)

    def lease(self, address: str, *, renew: bool = True) -> float:
        """Return when an object was written or found at the latest, by the server's clock; 0.0 when it is not there.

        A lease that is renewed may be later than what is returned, which is when the object was written.
        """
        if renew:
            if not self.keys.is_known(address) and METADATA not in self.keys.held(address):
                return 0.0
            self.leases.renew(address)
        written_at = self._written_at(self.keys.held(address))
        return written_at if renew or not written_at else max(written_at, self.leases.renewed_at(address))

    def remove(self, leased: Mapping[str, float]) -> set[str]:
        """Remove objects, ``metadata.json`` first, each under a mark that makes puts of the same object wait.

        A put renews the lease, then looks for the mark, then at the object: so either the lease seen here is the new
        one, or the put sees the mark, or it sees that the object is gone and writes it anew. What is no object is left
        to ``sweep``: it may be one that is being written.
        """

        def remove(address: str) -> bool:
            with self.leases.removal(address) as right:
                if not right:
                    return False
                held = self.keys.held(address)
                if METADATA not in held:
                    return True
                renewed_at = self.leases.renewed_at(address)
                if max(self._written_at(held), renewed_at) > leased[address] or not right.is_held():
                    return False
                for name in (METADATA, *(held.keys() - {METADATA})):
                    self.bucket.delete(folder_key(address) + name)
                self.keys.forget(address)
                if renewed_at:
                    self.leases.forget(address)
                return True

        self._check_creation()
        with ThreadPoolExecutor(self.parallel) as threads:
            return {address for address, gone in zip(leased, threads.map(remove, leased), strict=True) if gone}

    def sweep(self, older_than_seconds: float) -> None:
        self._check_creation()
        self.leases.sweep(older_than_seconds)

    def _written_at(self, held: Mapping[str, ObjectMeta]) -> float:
        return self.leases.clock.seen(held[METADATA]["last_modified"].timestamp()) if METADATA in held else 0.0

    def _check_creation(self) -> None:
        with self._trying:
            if not self._creates_once:
                self.bucket.check_creation()
                self._creates_once = True
