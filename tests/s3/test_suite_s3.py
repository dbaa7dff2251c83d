"""The store in a bucket keeps every law, on a mock server and on a real one."""

from __future__ import annotations

from collections.abc import MutableMapping

import pytest

from smalti.store.s3 import S3Documents, S3Objects, open_s3
from smalti.testing import StoreSuite

Places = tuple[S3Objects, S3Documents]


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
