"""A store in an S3 bucket, laid out as in a folder: ``data/a3/a3f5.../metadata.json`` and ``data.npy`` beside it.

An object exists when its ``metadata.json`` does: that key is written last and only where there is none, and removed
first. S3 has no rename, so damage is mended by writing the right bytes over it. Large files are compressed where that
saves a tenth. Beside the layout there are ``probe`` (shows that the server refuses to replace) and the leases.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from smalti.digest import PREFIX
from smalti.errors import NotFound, Refused
from smalti.store.backends.base import Entry, Listed, folder_key
from smalti.store.backends.s3.batch import S3Batch, s3_batch
from smalti.store.backends.s3.bucket import LOOKS_FOR_KNOWN, Bucket, Forbidden
from smalti.store.backends.s3.file import S3File
from smalti.store.backends.s3.kept import ObjectKeys
from smalti.store.backends.s3.leases import Leases
from smalti.store.format.record import METADATA

_PROBE = "probe"


class S3Backend:
    """Keys below a prefix of a bucket. Attributes: see :class:`Backend`."""

    parallel = 16
    writes_ahead = False
    staging = None

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.location = bucket.location
        self.identity = bucket.identity
        self.keys = ObjectKeys(bucket)
        self.leases = Leases(bucket)

    @classmethod
    def at(cls, url: str, endpoint: str | None = None) -> S3Backend:
        """Open ``s3://bucket/prefix``, after the server has shown that it never replaces what is created.

        Credentials that may only read are enough to read.

        Raises:
            Refused: the URL, endpoint or credentials are not such, or the server replaces what should be created once.
            NotFound: there is no such bucket.
            Unavailable: the server does not answer or does not let us in.
        """
        bucket = Bucket(url, endpoint)
        check_creation(bucket)
        return cls(bucket)

    def clock(self) -> float:
        """Return the server's time, not before that of any lease so far; that takes a second."""
        try:
            return self.leases.clock.after_all()
        except Forbidden:  # who may not write only looks at what could be removed
            return time.time()

    def read(self, key: str) -> bytes:
        if key.startswith("data/"):
            content = self.keys.read(key)
        else:
            found = self.bucket.get(key, looks=LOOKS_FOR_KNOWN)
            content = found.content if found else None
        if content is None:
            raise NotFound(f"there is no {key} in the store at {self.location}.")
        return content

    def open(self, key: str) -> S3File:
        return self.keys.open(key)

    def put(self, key: str, content: bytes, *, was: bytes | None = None, synced: bool = True) -> bool:
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
        return s3_batch(self.keys, self.leases)

    def lease(self, address: str, *, renew: bool = True) -> float:
        """Return when an object was written or found at the latest, by the server's clock."""
        kept = self.keys.look(address)
        if kept is None:
            return 0.0
        if not renew:
            return max(kept.written_at, self.leases.renewed_at(address))
        self.leases.renew(address)
        self.leases.wait_for_removal(address)
        again = self.keys.look(address)
        return max(again.written_at, 1.0) if again else 0.0

    def remove(self, leased: Mapping[str, float]) -> set[str]:
        """Remove objects, ``metadata.json`` first, each under a mark that makes puts of the same object wait.

        A put renews the lease, then looks for the mark, then at the object: so either the lease seen here is the new
        one, or the put sees the mark, or it sees that the object is gone and writes it anew.
        """

        def remove(address: str) -> bool:
            with self.leases.removal(address) as right:
                if not right or self.lease(address, renew=False) > leased[address]:
                    return False
                names = self.keys.names(address)
                if not right.is_held():
                    return False
                for name in (METADATA, *names):
                    self.bucket.delete(folder_key(address) + name)
                self.keys.forget(address)
                self.leases.forget(address)
                return True

        with ThreadPoolExecutor(self.parallel) as threads:
            return {address for address, gone in zip(leased, threads.map(remove, leased), strict=True) if gone}

    def sweep(self, older_than_seconds: float) -> None:
        self.leases.sweep(older_than_seconds)


def check_creation(bucket: Bucket) -> None:
    """See that the server never replaces what is to be created once.

    Raises:
        Refused: it does.
    """
    try:
        replaced = all(bucket.create(_PROBE, b"A second creation of this key must fail.\n") for _ in range(2))
    except Forbidden:
        next(bucket.list(""), None)  # raises where reading is forbidden as well
        replaced = False
    if replaced:
        raise Refused(
            f"the server of {bucket.location} ignores If-None-Match and would let writers replace each other's data; "
            "use one that honours it, and keep the bucket unversioned."
        )
