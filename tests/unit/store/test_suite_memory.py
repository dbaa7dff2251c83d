"""The store in memory keeps every law."""

from __future__ import annotations

import pytest

from smalti.store.backends.memory import MemoryDocuments, MemoryObjects
from smalti.testing import MemoryBytes, StoreSuite


class TestMemory(StoreSuite):
    @pytest.fixture
    def objects(self) -> MemoryObjects:
        return MemoryObjects()

    @pytest.fixture
    def documents(self) -> MemoryDocuments:
        return MemoryDocuments()

    @pytest.fixture
    def stored(self, objects: MemoryObjects, documents: MemoryDocuments) -> MemoryBytes:
        return MemoryBytes(objects, documents)
