"""The store in a bucket keeps every law, on a mock server and on a real one; and agrees with a dictionary."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, MutableMapping
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from smalti.codecs import CODECS
from smalti.store import Store
from smalti.store.backends.s3.backend import S3Backend
from smalti.store.backends.s3.index import S3Index
from smalti.store.objects.index import Known
from smalti.testing import StoreMachine, StoreSuite

RUNS = settings(
    max_examples=int(os.environ.get("SMALTI_TEST_MODEL_RUNS_S3", "3")),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class TestS3(StoreSuite):
    tick_s = 1.1  # S3 counts whole seconds

    @pytest.fixture
    def backend(self, backend: S3Backend) -> S3Backend:
        return backend

    @pytest.fixture
    def stored(self, stored: MutableMapping[str, bytes]) -> MutableMapping[str, bytes]:
        return stored

    @pytest.fixture
    def store(self, backend: S3Backend) -> Store:
        store = Store(backend, CODECS, S3Index(backend))
        store.init()
        return store


class HintingIndex(S3Index):
    """An index that takes an object to resemble the last few."""

    def __init__(self, backend: S3Backend) -> None:
        super().__init__(backend)
        self._last: list[str] = []

    def similar(self, leaf_ids: bytes) -> list[str]:
        return list(self._last)

    def remember(self, objects: Iterable[Known]) -> None:
        self._last[:] = [*(known.record.address for known in objects), *self._last][:3]


def test_a_bucket_agrees_with_a_dictionary(server, url: str, stored: Any) -> None:
    class S3Machine(StoreMachine):
        def open_place(self) -> tuple[Store, MutableMapping[str, bytes]]:
            backend = S3Backend.at(f"{url}/{uuid.uuid4().hex}", server.endpoint)
            return Store(backend, CODECS, HintingIndex(backend)), type(stored)(backend.bucket)

        def _is_gone(self, address: str) -> bool:
            """Without its metadata.json an object is none; what is left of it goes with a sweep."""
            digits = address.removeprefix("sha256:")
            left = [key for key in self.stored if digits in key]
            if not any(key.endswith("metadata.json") for key in left):
                for key in left:
                    del self.stored[key]
            return super()._is_gone(address)

    run_state_machine_as_test(S3Machine, settings=RUNS)
