"""What is known of the objects in a bucket: their writers noted the ETag of what they uploaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from smalti.store.backends.base import Entry, folder_key
from smalti.store.backends.s3.backend import S3Backend
from smalti.store.format import seekable
from smalti.store.format.record import METADATA


class S3Index:
    """An index that remembers nothing: near-duplicates are found by their hints alone, and ETags say what is intact."""

    def __init__(self, backend: S3Backend) -> None:
        self._keys = backend.keys

    def similar(self, leaf_ids: bytes) -> list[str]:
        return []

    def is_unchanged(self, address: str, files: Sequence[Entry]) -> bool:
        kept = self._keys.kept(address)
        if not kept or not kept.uploaded:
            return False
        folder = folder_key(address)
        uploaded = {folder + name.removesuffix(seekable.SUFFIX): etag for name, etag in kept.uploaded.items()}
        return uploaded == {file.key: file.stamp for file in files if file.key != folder + METADATA}

    def remember(self, objects: Iterable[object]) -> None:
        """Do nothing: the objects' keys say it."""

    def forget(self, addresses: Iterable[str]) -> None:
        """Do nothing: it goes with the objects."""

    def clear(self) -> None:
        """Do nothing: there is nothing."""
