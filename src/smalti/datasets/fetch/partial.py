"""A file that is still being downloaded: its bytes so far, what they are bytes of, and how it becomes the file."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path

from smalti.contracts.violation import shown
from smalti.errors import Refused, Unavailable
from smalti.formats.regular_file import sha256_of
from smalti.store.commit import sync

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Partial:
    """``<target>.part`` and, where a server can go on with it, ``<target>.part.json``; see :func:`partial`."""

    def __init__(self, target: Path, path: Path, file: BufferedRandom) -> None:
        self._target = target
        self._path = path
        self._note = path.with_name(f"{path.name}.json")
        self._file = file
        self.nbytes = file.seek(0, os.SEEK_END)  # so far

    def validator(self, url: str) -> str | None:
        """Return what the server called the version these are bytes of, or None if one cannot go on with them."""
        try:
            known = json.loads(self._note.read_bytes())
            fits = self.nbytes > 0 and known["url_sha256"] == _digest(url)
            return str(known["validator"]) if fits else None
        except (FileNotFoundError, ValueError, TypeError, KeyError):  # not ours, or cut: begin anew
            return None

    def begin(self, url: str, validator: str | None) -> None:
        """Forget all bytes, and note what the ones to come are bytes of; the URL itself may hold a secret."""
        self.cut(0)
        self._note.unlink(missing_ok=True)
        if validator:
            self._note.write_text(json.dumps({"url_sha256": _digest(url), "validator": validator}))

    def cut(self, nbytes: int) -> None:
        """Keep only the first ``nbytes`` bytes."""
        self.nbytes = self._file.seek(nbytes)
        self._file.truncate()

    def append(self, piece: bytes) -> None:
        """Add bytes at the end."""
        self._file.write(piece)
        self.nbytes += len(piece)

    def sha256(self) -> str:
        """Return the SHA-256 of all bytes, as 64 hexadecimal digits, read back from the file."""
        self._file.seek(0)
        return hashlib.file_digest(self._file, "sha256").hexdigest()

    def become(self, sha256: str) -> None:
        """Turn into the target, durable and in one step; one with the same content that is there already is kept.

        Raises:
            Refused: there is something else at the target; the bytes are kept beside it.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        if not self._moved() and sha256_of(self._target) != sha256:
            raise Refused(
                f"{shown(self._target.name)} is there already with other content; "
                f"move it away, or compare it with {shown(self._path.name)}."
            )
        self._discard()
        sync(self._target.parent)

    def close(self) -> None:
        """Keep the bytes for the next time; leave nothing behind where nothing came."""
        if self.nbytes == 0:
            self._discard()

    def _moved(self) -> bool:
        try:
            os.link(self._path, self._target)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links: only what ignores the lock on the part could come between
            if os.path.lexists(self._target):
                return False
            self._path.rename(self._target)
        return True

    def _discard(self) -> None:
        self._path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


@contextmanager
def partial(target: Path) -> Iterator[Partial]:
    """Open what there is of a download so far, for this process alone; whatever ends the block, its bytes stay.

    Raises:
        Unavailable: another process is downloading it.
        Refused: there is something at ``<target>.part`` that is not a file.
    """
    path = target.with_name(f"{target.name}.part")
    with os.fdopen(_locked(path), "r+b") as file:
        part = Partial(target, path, file)
        try:
            yield part
        finally:
            part.close()


def _locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, _FLAGS, 0o644)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Refused(f"{shown(str(path))} is not a regular file; move it away.")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False)):
                return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise Unavailable(f"another process is downloading {shown(path.name)}; wait until it has done.") from error
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # between our opening and locking, another process finished the download


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()
