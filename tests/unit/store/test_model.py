"""Stores of every kind agree with a dictionary, whatever is done to them in whatever order."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from smalti import Store, open_store
from smalti.codecs import CODECS
from smalti.store.backends.memory import MemoryBackend
from smalti.testing import FolderBytes, MemoryBytes, StoreMachine

RUNS = settings(
    max_examples=int(os.environ.get("SMALTI_TEST_MODEL_RUNS", "15")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


class MemoryMachine(StoreMachine):
    def open_place(self) -> tuple[Store, MutableMapping[str, bytes]]:
        backend = MemoryBackend()
        store = Store(backend, CODECS)
        store.init()
        return store, MemoryBytes(backend)


def test_a_folder_agrees_with_a_dictionary(tmp_path: Path) -> None:
    class LocalMachine(StoreMachine):
        def open_place(self) -> tuple[Store, MutableMapping[str, bytes]]:
            self.root = Path(tempfile.mkdtemp(dir=tmp_path))
            store = open_store(self.root)
            store.init()
            return store, FolderBytes(self.root)

        def teardown(self) -> None:
            shutil.rmtree(self.root)

    run_state_machine_as_test(LocalMachine, settings=RUNS)


def test_a_store_in_memory_agrees_with_a_dictionary() -> None:
    run_state_machine_as_test(MemoryMachine, settings=RUNS)
