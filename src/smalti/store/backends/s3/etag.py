"""What the ETag of a key tells of its bytes: their MD5, or that of the MD5s of the parts they were sent in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

Piece = bytes | memoryview


class ETags:
    """What is known of a server's ETags.

    Attributes:
        are_md5: whether they are the MD5 of a key's bytes, as where nothing is encrypted; None until one was seen.
    """

    def __init__(self) -> None:
        self.are_md5: bool | None = None

    def say(self, etag: str | None, content: bytes) -> bool:
        """Tell whether an ETag says that a key holds this content; where it does not, it may be no MD5."""
        if not etag or bare(etag) != md5(content).hexdigest():
            return False
        self.are_md5 = True
        return True


class Parts:
    """The bytes of an upload, cut and counted as they go up, and the MD5 of each part.

    Attributes:
        part_nbytes: of every part but the last.
        nbytes: of all that was taken so far.
        are_all: nothing more comes.
    """

    def __init__(self, part_nbytes: int) -> None:
        self.part_nbytes = part_nbytes
        self.nbytes = 0
        self.are_all = False
        self._digests = [md5(b"")]

    def cut(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Yield the pieces, none across the end of a part."""
        for piece in pieces:
            at = 0
            while at < len(piece):
                if self.nbytes and not self.nbytes % self.part_nbytes:
                    self._digests.append(md5(b""))
                some = piece[at : at + self.part_nbytes - self.nbytes % self.part_nbytes]
                self._digests[-1].update(some)
                self.nbytes += len(some)
                at += len(some)
                yield some
        self.are_all = True

    def digests(self) -> list[bytes]:
        """Return the MD5 of each part."""
        return [digest.digest() for digest in self._digests]

    def etag(self) -> str:
        """Return what AWS, a RADOS gateway and moto make of them, where nothing is encrypted."""
        return f"{md5(b''.join(self.digests())).hexdigest()}-{len(self._digests)}"


def md5(content: Piece) -> hashlib._Hash:
    return hashlib.md5(content, usedforsecurity=False)


def bare(etag: str) -> str:
    return etag.strip('"')
