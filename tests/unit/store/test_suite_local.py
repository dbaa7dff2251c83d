"""The store in a local folder keeps every law."""

from __future__ import annotations

from pathlib import Path

import pytest

from smalti import Store, open_store
from smalti.store.backends.local.backend import LocalBackend
from smalti.testing import FolderBytes, StoreSuite


class TestLocal(StoreSuite):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> LocalBackend:
        return LocalBackend(tmp_path)

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        store = open_store(tmp_path)
        store.init()
        return store

    @pytest.fixture
    def stored(self, tmp_path: Path) -> FolderBytes:
        return FolderBytes(tmp_path)
