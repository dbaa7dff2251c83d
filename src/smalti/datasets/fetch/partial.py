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

    def __init__(self, target: Path, file: BufferedRandom) -> None:
        self._target = target
        self._file = file
        self._nbytes = file.seek(0, os.SEEK_END)
        self._known = part_path(target).with_name(f"{part_path(target).name}.json")

    @property
    def nbytes(self) -> int:
        """Bytes so far."""
        return self._nbytes

    def validator(self, url: str) -> str | None:
        """Return what the server called the version these are bytes of, or None if one cannot go on with them."""
        try:
            known = json.loads(self._known.read_bytes())
            fits = self._nbytes > 0 and known["url_sha256"] == _digest(url)
            return str(known["validator"]) if fits else None
        except (FileNotFoundError, ValueError, TypeError, KeyError):  # not ours, or cut: begin anew
            return None

    def begin(self, url: str, validator: str | None) -> None:
        """Forget all bytes, and note what the ones to come are bytes of; the URL itself may hold a secret."""
        self.cut(0)
        self._known.unlink(missing_ok=True)
        if validator:
            self._known.write_text(json.dumps({"url_sha256": _digest(url), "validator": validator}))

    def cut(self, nbytes: int) -> None:
        """Keep only the first ``nbytes`` bytes."""
        self._nbytes = self._file.seek(nbytes)
        self._file.truncate()

    def append(self, piece: bytes) -> None:
        """Add bytes at the end."""
        self._file.write(piece)
        self._nbytes += len(piece)

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
        part = part_path(self._target)
        if not _appeared(part, self._target):
            if sha256_of(self._target) != sha256:
                raise Refused(
                    f"{shown(self._target.name)} is there already with other content; "
                    f"move it away, or compare it with {shown(part.name)}."
                )
            part.unlink()
        self._known.unlink(missing_ok=True)
        sync(self._target.parent)

    def discard_if_empty(self) -> None:
        """Leave nothing behind where nothing came."""
        if self._nbytes == 0:
            part_path(self._target).unlink(missing_ok=True)
            self._known.unlink(missing_ok=True)


def part_path(target: Path) -> Path:
    """Return where the bytes for a target lie until there are all of them."""
    return target.with_name(f"{target.name}.part")


@contextmanager
def partial(target: Path) -> Iterator[Partial]:
    """Open what there is of a download so far, for this process alone; whatever ends the block, its bytes stay.

    Raises:
        Unavailable: another process is downloading it.
        Refused: there is something at ``<target>.part`` that is not a file.
    """
    with os.fdopen(_locked(part_path(target)), "r+b") as file:
        part = Partial(target, file)
        try:
            yield part
        finally:
            part.discard_if_empty()


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


def _appeared(part: Path, target: Path) -> bool:
    """Give the part the target's name; False when something has that name."""
    try:
        os.link(part, target)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links: only what ignores the lock on the part could come between
        if os.path.lexists(target):
            return False
        part.rename(target)
    else:
        part.unlink()
    return True


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()
