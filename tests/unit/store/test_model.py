"""Stores of every kind agree with a dictionary, whatever is done to them in whatever order."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from hypothesis import HealthCheck, settings

from smalti import Store, open_store
from smalti.codecs import CODECS
from smalti.store.memory import MemoryDocuments, MemoryObjects
from smalti.testing import FolderBytes, MemoryBytes, StoreMachine

RUNS = settings(
    max_examples=int(os.environ.get("SMALTI_TEST_MODEL_RUNS", "25")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


class LocalMachine(StoreMachine):
    def open_place(self) -> tuple[Store, MutableMapping[str, bytes]]:
        self.root = Path(tempfile.mkdtemp())
        return open_store(self.root), FolderBytes(self.root)

    def teardown(self) -> None:
        shutil.rmtree(self.root)


class MemoryMachine(StoreMachine):
    def open_place(self) -> tuple[Store, MutableMapping[str, bytes]]:
        objects, documents = MemoryObjects(), MemoryDocuments()
        return Store(objects, documents, CODECS), MemoryBytes(objects, documents)


TestLocalAgainstADictionary = LocalMachine.TestCase
TestLocalAgainstADictionary.settings = RUNS
TestMemoryAgainstADictionary = MemoryMachine.TestCase
TestMemoryAgainstADictionary.settings = RUNS
