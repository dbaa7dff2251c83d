"""The store in a local folder keeps every law."""

from __future__ import annotations

from pathlib import Path

import pytest

from smalti import Store, open_store
from smalti.store.backends.local.backend import LocalObjects
from smalti.store.documents import LocalDocuments
from smalti.testing import FolderBytes, StoreSuite


class TestLocal(StoreSuite):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> LocalObjects:
        return LocalObjects(tmp_path)

    @pytest.fixture
    def documents(self, tmp_path: Path) -> LocalDocuments:
        return LocalDocuments(tmp_path)

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_store(tmp_path)

    @pytest.fixture
    def stored(self, tmp_path: Path) -> FolderBytes:
        return FolderBytes(tmp_path)
