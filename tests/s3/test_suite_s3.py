"""The store in a bucket keeps every law, on a mock server and on a real one; and agrees with a dictionary."""

from __future__ import annotations

import os
import uuid
from collections.abc import MutableMapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from smalti.codecs import CODECS
from smalti.store import Encoded, Record, Store
from smalti.store.backends.s3.backend import S3Documents, S3Objects, open_s3
from smalti.testing import StoreMachine, StoreSuite

Places = tuple[S3Objects, S3Documents]

RUNS = settings(
    max_examples=int(os.environ.get("SMALTI_TEST_MODEL_RUNS_S3", "3")),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class TestS3(StoreSuite):
    @pytest.fixture
    def place(self, server, url: str) -> Places:
        return open_s3(url, server.endpoint)

    @pytest.fixture
    def objects(self, place: Places) -> S3Objects:
        return place[0]

    @pytest.fixture
    def documents(self, place: Places) -> S3Documents:
        return place[1]

    @pytest.fixture
    def stored(self, stored: MutableMapping[str, bytes]) -> MutableMapping[str, bytes]:
        return stored


class HintedObjects(S3Objects):
    """Objects that are taken to resemble the last few."""

    def write(self, record: Record, encoded: Encoded | None, alike: Sequence[str] = ()) -> int:
        last = self.__dict__.setdefault("last", [])
        added = super().write(record, encoded, [*alike, *last])
        last[:] = [record.address, *last[:2]]
        return added


def test_a_bucket_agrees_with_a_dictionary(server, url: str, stored: Any) -> None:
    class S3Machine(StoreMachine):
        def open_place(self) -> tuple[Store, MutableMapping[str, bytes]]:
            place = f"{url}/{uuid.uuid4().hex}"
            objects, documents = open_s3(place, server.endpoint)
            return Store(HintedObjects(objects._bucket), documents, CODECS), type(stored)(objects._bucket)

        def _is_gone(self, address: str) -> bool:
            """Without its metadata.json an object is none; what is left of it goes with a sweep."""
            digits = address.removeprefix("sha256:")
            left = [key for key in self.stored if digits in key]
            if not any(key.endswith("metadata.json") for key in left):
                for key in left:
                    del self.stored[key]
            return super()._is_gone(address)

    run_state_machine_as_test(S3Machine, settings=RUNS)
