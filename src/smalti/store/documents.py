"""Small files by key, each whole at every moment: names, pins, manifests and the like."""

from __future__ import annotations

from collections.abc import Iterator

from smalti.store.backends.base import Backend


class Documents:
    """The documents of one store; the operations of its backend, under the names that documents have for them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def location(self) -> str:
        """Where they are, for messages."""
        return self._backend.location

    def create(self, key: str, content: bytes, *, synced: bool = True) -> bool:
        """Create a document, whole and durable; return False when the key is taken; see :meth:`Backend.put`."""
        return self._backend.put(key, content, synced=synced)

    def replace(self, key: str, content: bytes, was: bytes) -> bool:
        """Put other content in the place of ``was``, whole and durable; return False when that is there no more."""
        return self._backend.put(key, content, was=was)

    def read(self, key: str) -> bytes:
        """Return a document.

        Raises:
            NotFound: there is none of that key.
        """
        return self._backend.read(key)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with ``prefix``, in order."""
        return (entry.key for entry in self._backend.list(prefix))

    def stamps(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield the keys that begin with ``prefix``, in order, and what is another once it is replaced."""
        return ((entry.key, entry.stamp) for entry in self._backend.list(prefix))

    def remove(self, key: str, *, synced: bool = True) -> None:
        """Remove a document; nothing happens when it is not there."""
        self._backend.delete(key, synced=synced)
