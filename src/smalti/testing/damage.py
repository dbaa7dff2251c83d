"""Ways stored bytes go bad, and hands that reach past a store to make them so."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path

from smalti.store.backends.base import file_key
from smalti.store.backends.memory import MemoryBackend
from smalti.store.identity import KEY

Damage = Callable[[bytes, random.Random], bytes]

NOTES = ("condemned/", "checks/", "checked/")  # of collections and checks: each may be gone at any time
_BLOCK_NBYTES = 512  # what a disk writes or loses at once


class FolderBytes(MutableMapping[str, bytes]):
    """The files below ``root`` as a mapping, key -> bytes, read and written without asking the store.

    ``store.json``, and what lies there to be rebuilt, to be staged or to be looked into by a person, are left out.
    """

    NOT_STORED = (KEY, "index.sqlite", "tmp/", "quarantine/", *NOTES)

    def __init__(self, root: Path) -> None:
        self._root = root

    def __getitem__(self, key: str) -> bytes:
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError as error:
            raise KeyError(key) from error

    def __setitem__(self, key: str, content: bytes) -> None:
        path = self._root / key
        path.unlink(missing_ok=True)  # a file that is mapped somewhere must not be cut short
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o444)

    def __delitem__(self, key: str) -> None:
        try:
            (self._root / key).unlink()
        except FileNotFoundError as error:
            raise KeyError(key) from error

    def __iter__(self) -> Iterator[str]:
        found = sorted(path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if path.is_file())
        return (key for key in found if not key.startswith(self.NOT_STORED))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class MemoryBytes(MutableMapping[str, bytes]):
    """The same of a store in memory, with the keys that its files would have."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._objects = backend.files
        self._documents = backend.documents

    def _find(self, key: str) -> tuple[dict[str, bytes], str]:
        if not key.startswith("data/"):
            return self._documents, key
        _, _, digits, name = key.split("/")
        return self._objects.setdefault(f"sha256:{digits}", {}), name

    def __getitem__(self, key: str) -> bytes:
        files, name = self._find(key)
        return files[name]

    def __setitem__(self, key: str, content: bytes) -> None:
        files, name = self._find(key)
        files[name] = content

    def __delitem__(self, key: str) -> None:
        files, name = self._find(key)
        del files[name]

    def __iter__(self) -> Iterator[str]:
        objects = [file_key(address, name) for address, files in self._objects.items() for name in files]
        documents = [key for key in self._documents if not key.startswith((KEY, *NOTES))]
        return iter(sorted([*objects, *documents]))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def flip(content: bytes, rng: random.Random) -> bytes:
    """Flip one bit."""
    changed = bytearray(content)
    if changed:
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(content: bytes, rng: random.Random) -> bytes:
    """Cut the end off."""
    return content[: rng.randrange(len(content))] if content else content


def extend(content: bytes, rng: random.Random) -> bytes:
    """Add bytes at the end."""
    return content + rng.randbytes(rng.randint(1, _BLOCK_NBYTES))


def zero(content: bytes, rng: random.Random) -> bytes:
    """Lose one block to zeros."""
    start = rng.randrange(0, max(1, len(content)), _BLOCK_NBYTES)
    lost = content[start : start + _BLOCK_NBYTES]
    return content[:start] + bytes(len(lost)) + content[start + len(lost) :]


DAMAGES: dict[str, Damage] = {
    "flip": flip,
    "cut": cut,
    "extend": extend,
    "zero": zero,
    "empty": lambda _content, _rng: b"",
}
"""How one file's bytes go bad; the result may equal what was there (zeros lost to zeros), so compare."""
