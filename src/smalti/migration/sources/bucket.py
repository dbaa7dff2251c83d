"""A source that is a prefix of an S3 bucket: keys as paths, each fetched to a temporary file while it is read."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smalti.errors import NotFound, Unavailable
from smalti.migration.sources.read_only_bucket import Key, ReadOnlyBucket
from smalti.migration.sources.source import Left, SourceFile, check_small, unsafe_path
from smalti.store.commit import machine_errors
from smalti.tracking.work_file import Look


@dataclass(frozen=True, slots=True)
class BucketSource:
    """The keys that were below a prefix when it was listed.

    Attributes:
        keys: path -> key; they differ where a key has an empty part, as in ``runs/<run>//manifest.json``.
    """

    bucket: ReadOnlyBucket
    files: Mapping[str, SourceFile]
    keys: Mapping[str, str]
    left: tuple[Left, ...]

    @property
    def place(self) -> str:
        return self.bucket.place

    def read(self, path: str) -> bytes:
        """Return a small key's content; raises as ``local`` does, and Refused where it is too large."""
        check_small(self.files[path], self.place)
        with self.bucket.get(self.keys[path]) as pieces:
            content = b"".join(pieces)
        self._check_size(path, len(content))
        return content

    @contextmanager
    def local(self, path: str) -> Iterator[Path]:
        """Fetch a key to a temporary file of the same name.

        Raises:
            NotFound: it was removed meanwhile.
            Unavailable: it did not come whole, or there is no room for it.
        """
        with tempfile.TemporaryDirectory(prefix="smalti-") as folder:
            file = Path(folder) / os.path.basename(path)  # noqa: PTH119, a key and no path of this machine
            with machine_errors(f"fetching {path}"), file.open("wb") as target, self.bucket.get(self.keys[path]) as got:
                for piece in got:
                    target.write(piece)
            self._check_size(path, file.stat().st_size)
            yield file

    def _check_size(self, path: str, nbytes: int) -> None:
        if nbytes != self.files[path].nbytes:
            raise Unavailable(
                f"{path} came as {nbytes} bytes and was listed with {self.files[path].nbytes}; try again."
            )


def bucket_source(url: str, endpoint: str | None = None) -> BucketSource:
    """List what lies below ``s3://bucket/prefix``.

    Raises:
        NotFound: there is nothing.
        Refused, Unavailable: as :class:`smalti.migration.sources.read_only_bucket.ReadOnlyBucket` does.
    """
    bucket = ReadOnlyBucket(url, endpoint)
    files: dict[str, SourceFile] = {}
    keys: dict[str, str] = {}
    left: list[Left] = []
    for found in bucket.listed():
        below = found.key.removeprefix(f"{bucket.prefix}/") if bucket.prefix else found.key
        path = "/".join(part for part in below.split("/") if part)
        if below.endswith("/"):  # how consoles write an empty folder
            continue
        if why := unsafe_path(path):
            left.append(Left(path.encode("unicode_escape").decode(), why))
        elif path in files:
            left.append(Left(found.key, f"is the same path as the key {keys[path]}, which was taken"))
        else:
            files[path] = SourceFile(path, found.nbytes, _look(found))
            keys[path] = found.key
    if not files and not left:
        raise NotFound(f"there is nothing below {bucket.place}; check the bucket and the prefix.")
    return BucketSource(bucket, dict(sorted(files.items())), keys, tuple(left))


def _look(found: Key) -> Look:
    """Return what changes when a key is written to: a key has no inode, its ETag stands in for that."""
    at_ns = int(found.at.timestamp() * 1e9) if found.at else 0
    etag = int.from_bytes(hashlib.sha256(found.etag.encode()).digest()[:8], "big")
    return Look(found.nbytes, at_ns, 0, etag)
