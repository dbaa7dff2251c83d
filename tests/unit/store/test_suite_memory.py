"""The store in memory keeps every law."""

from __future__ import annotations

import pytest

from smalti.store.backends.memory import MemoryBackend
from smalti.testing import MemoryBytes, StoreSuite


class TestMemory(StoreSuite):
    @pytest.fixture
    def backend(self) -> MemoryBackend:
        return MemoryBackend()

    @pytest.fixture
    def stored(self, backend: MemoryBackend) -> MemoryBytes:
        return MemoryBytes(backend)
