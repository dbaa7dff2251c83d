"""A foreign file that is being read: its bytes, what it may ask for, and how its failures are told."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO

from smalti.compute import extend_limits
from smalti.contracts.violation import Violation, broken, shown
from smalti.errors import SmaltiError, Unavailable

# Counts of one byte become float32 amplitude, which is moved and compared beside what was read.
_MEMORY_PER_BYTE_READ = 12
_BYTES_READ_PER_CPU_S = 32 << 20
# Below these an expansion ratio says nothing. 64 MiB is what inflating may write before it is known where it ends.
# Where headers declare every size first, photon counts that are nearly all zeros are as dense as a bomb (deflate
# reaches 700 of its 1032 on them), so that only size tells them apart: 1 GiB is the smallest part of a machine that
# reconstructs scans, 1000 patterns of 512 x 512 in 32 bits, and below what any file of 2.1 MB may hold anyway.
_ALWAYS_ALLOWED_NBYTES, _ALWAYS_ALLOWED_DECLARED_NBYTES = 64 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """What a foreign file may ask for.

    Attributes:
        file_nbytes: size of the file itself.
        content_nbytes: everything in it, inflated.
        expansion: inflated size over stored size; deflate can reach 1032, bzip2 far more.
        members: arrays that are read of one archive or HDF5 file.
        columns: of a table; tensors in one file.
        objects: groups, datasets and links in one HDF5 file, members of one archive.
        depth: groups within groups.
    """

    file_nbytes: int = 16 << 30
    content_nbytes: int = 16 << 30
    expansion: int = 500
    members: int = 64
    columns: int = 4096
    objects: int = 4096
    depth: int = 32

    def allowed(self, stored_nbytes: int, *, declared: bool = False) -> int:
        """Return how much ``stored_nbytes`` may inflate to; ``declared``: headers have said so before."""
        always = _ALWAYS_ALLOWED_DECLARED_NBYTES if declared else _ALWAYS_ALLOWED_NBYTES
        return min(self.content_nbytes, max(always, self.expansion * stored_nbytes))

    def claimable(self, stored_nbytes: int) -> tuple[int, int]:
        """Return how much memory, and CPU time in s, reading ``stored_nbytes`` may claim at most."""
        return _room_for(self.allowed(stored_nbytes, declared=True))


DEFAULT_LIMITS = Limits()


def _room_for(nbytes: int) -> tuple[int, int]:
    """Return what memory, and CPU time in s, it takes to read so much."""
    return _MEMORY_PER_BYTE_READ * nbytes, nbytes // _BYTES_READ_PER_CPU_S


@dataclass(frozen=True, slots=True)
class Source:
    """An open foreign file.

    Attributes:
        file: its content, seekable, at its start.
        name: the file's, for messages.
        nbytes: size of the content.
        stored_nbytes: size of the file, which is less where it was compressed.
        limits: what it may ask for.
    """

    file: IO[bytes]
    name: str
    nbytes: int
    stored_nbytes: int
    limits: Limits

    def holding(self, file: IO[bytes], name: str, nbytes: int) -> Source:
        """Return the source of what was wrapped in this one."""
        return replace(self, file=file, name=name, nbytes=nbytes)

    def claim(self, place: str, nbytes: int, remedy: str, *, declared: bool = False) -> None:
        """Say that so much is going to be read, once for each file: refuse it before it is allocated, or make room.

        Raises:
            ContractBroken: it is more than a file of this size may hold.
        """
        self.require(self.expansion_breaches(place, nbytes, self.stored_nbytes, remedy, declared=declared))
        extend_limits(*_room_for(nbytes))

    def expansion_breaches(
        self, place: str, nbytes: int, stored_nbytes: int, remedy: str, *, declared: bool = False
    ) -> Iterator[Violation]:
        """Yield a violation where ``nbytes`` is more than ``stored_nbytes`` may inflate to, see ``Limits.allowed``."""
        allowed = self.limits.allowed(stored_nbytes, declared=declared)
        if nbytes > allowed:
            found = f"{shown(str(nbytes))} bytes or more out of {stored_nbytes} stored"
            yield Violation("archive.expansion", place, found, f"at most {allowed} bytes", remedy)

    def require(self, breaches: Iterable[Violation]) -> None:
        """Raise ContractBroken if there are any."""
        if found := tuple(breaches):
            raise broken(self.name, found)

    def refuse(self, code: str, place: str, found: str, wanted: str, remedy: str) -> SmaltiError:
        """Return the error to raise for one violation."""
        return self.broken(Violation(code, place, found, wanted, remedy))

    def broken(self, violation: Violation) -> SmaltiError:
        """Return the error to raise for this violation."""
        return broken(self.name, [violation])

    @contextmanager
    def mapped(self, place: str, wanted: str) -> Iterator[None]:
        """Turn whatever a parser raises into the one sentence it means.

        Malformed files make parsers raise at least nine unrelated exceptions, so what is listed is what the
        *machine* can do wrong; everything else is the file's fault.
        """
        try:
            yield
        except SmaltiError:
            raise
        except MemoryError as error:
            remedy = "cut it into smaller files, or read it on a larger machine"
            found = "more than fits in the memory it may take"
            raise self.refuse("file.too_much_memory", place, found, "what its size declares", remedy) from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno not in (None, 0, errno.EINVAL):
                raise Unavailable(f"{shown(self.name)} could not be read: {error.strerror}; try again.") from error
            found = f"damage ({type(error).__name__}: {shown(' '.join(str(error).split()))})"
            remedy = "copy the file again from its source"
            raise self.refuse("file.damaged", place, found, wanted, remedy) from error
