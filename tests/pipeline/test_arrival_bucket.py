"""Objects arrive below an S3 prefix: validated like files in the folder, and nothing in the bucket is ever changed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from dagster_aws.s3 import S3Resource
from moto import mock_aws

from assets.arrival import ledger_path
from jobs.ingest import keys_in
from resources import SettingsResource, StoreResource
from resources.prefix import Prefix
from sensors.arrivals import evaluate, is_busy
from sensors.raw_objects import raw_objects
from smalti import open_store
from smalti.errors import NotFound, Refused, Unavailable
from smalti.ingest.ledger import Ledger
from smalti.ingest.quarantine import Quarantine

URL = "s3://incoming/beamline/7"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        made = S3Resource().get_client()
        made.create_bucket(Bucket="incoming")
        yield made


def scan(**changes: Any) -> bytes:
    row, column = np.mgrid[:16, :16] - 8
    counts = np.rint(900 * np.exp(-(row**2 + column**2) / 8))
    patterns = np.sqrt(np.stack([counts + i % 2 for i in range(6)])).astype("f4")
    arrays = {"diffraction": patterns, "xcoords": np.arange(6.0), "ycoords": np.arange(6.0), **changes}
    file = io.BytesIO()
    np.savez(file, **{key: array for key, array in arrays.items() if array is not None})
    return file.getvalue()


def put(client: Any, name: str, content: bytes) -> None:
    client.put_object(Bucket="incoming", Key=f"beamline/7/{name}", Body=content)


def test_objects_are_validated_once_and_again_when_they_change(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    monkeypatch.setenv("SMALTI_RAW_URL", URL)
    put(client, "good.npz", scan())
    put(client, "deep/../er/scan 2.npz", scan(xcoords=np.arange(6.0) + 1))
    put(client, "bad.npz", scan(xcoords=None))
    put(client, "bad.npz.txt", b"not data")
    client.put_object(Bucket="incoming", Key="beamline/70/other.npz", Body=scan())
    resources = {"store": StoreResource(place=str(tmp_path / "store")), "settings": SettingsResource()}
    before = {o["Key"]: o["ETag"] for o in client.list_objects_v2(Bucket="incoming")["Contents"]}
    with dg.instance_for_test() as instance:
        cursor: str | None = None

        def tick() -> list[str]:
            nonlocal cursor
            with dg.build_sensor_context(instance, resources=resources, cursor=cursor) as context:
                found = raw_objects(context)
            assert not is_busy(instance, Prefix.at(URL, client))
            if isinstance(found, dg.SkipReason):
                return []
            cursor = found.cursor
            return keys_in(found.run_requests or ())

        asked = tick()
        assert asked[1:] == ["good"]
        assert asked[0].startswith("deep-.-er-scan-2-")
        arrivals = Ledger(ledger_path(instance)).after(0)
        assert [(a.name, a.accepted) for a in arrivals] == [
            ("bad.npz", False),
            ("deep/../er/scan 2.npz", True),
            ("good.npz", True),
        ]
        (entry,) = Quarantine(tmp_path / "data" / "quarantine").entries()
        assert entry.file
        assert entry.file.read_bytes() == scan(xcoords=None)
        assert open_store(tmp_path / "store").get("raw_scan/good").filename == "good.npz"
        assert tick() == []

        put(client, "bad.npz", scan(xcoords=np.arange(6.0) + 2))
        client.delete_object(Bucket="incoming", Key="beamline/7/good.npz")
        assert tick() == ["bad"]
        assert Quarantine(tmp_path / "data" / "quarantine").entries() == []
        (gone,) = instance.fetch_observations(dg.AssetKey("raw_scan"), limit=9).records
        assert gone.partition_key == "good"
    after = {o["Key"]: o["ETag"] for o in client.list_objects_v2(Bucket="incoming")["Contents"]}
    assert {key: after.get(key) for key in before if not key.endswith(("good.npz", "bad.npz"))} == {
        key: etag for key, etag in before.items() if not key.endswith(("good.npz", "bad.npz"))
    }


def test_an_object_that_nobody_would_read_is_rejected_before_it_is_copied(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Huge:
        """Says of every object that it is a terabyte."""

        get_paginator = staticmethod(client.get_paginator)

        def get_object(self, **asked: str) -> dict[str, Any]:
            return {**client.get_object(**asked), "ContentLength": 2**40}

    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    put(client, "huge.npz", scan())
    with dg.instance_for_test() as instance:
        source = Prefix.at(URL, Huge())
        with dg.build_sensor_context(instance) as context:
            evaluate(context, source, str(tmp_path / "store"))
        (arrival,) = Ledger(ledger_path(instance)).after(0)
    assert not arrival.accepted
    assert [violation["code"] for violation in arrival.report["violations"]] == ["file.too_large"]
    (entry,) = Quarantine(tmp_path / "data" / "quarantine").entries()
    assert entry.file is None
    assert "cut it into several scans" in entry.report["reason"]


def test_a_card_in_the_bucket_comes_with_its_object_and_is_part_of_its_identity(client: Any, tmp_path: Path) -> None:
    put(client, "a.npz", b"x")
    source = Prefix.at(URL, client)
    (before,) = source.look().files
    put(client, "a.npz.card.yaml", b"name: a")
    (after,) = source.look().files
    assert (before.name, before.nbytes, before.settled) == ("a.npz", 1, True)
    assert before.identity != after.identity
    path = source.fetch("a.npz", tmp_path / "0")
    assert path.read_bytes() == b"x"
    assert path.with_name("a.npz.card.yaml").read_bytes() == b"name: a"


def test_what_is_not_there_is_said_in_a_sentence(client: Any, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="not there any more"):
        Prefix.at(URL, client).fetch("a.npz", tmp_path / "0")
    with pytest.raises(Unavailable, match="NoSuchBucket"):
        Prefix.at("s3://nowhere/at-all", client).look()
    with pytest.raises(Refused, match="SMALTI_RAW_URL"):
        Prefix.at("https://example.org", client)


def test_without_a_prefix_nothing_is_looked_at(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    monkeypatch.delenv("SMALTI_RAW_URL", raising=False)
    resources = {"store": StoreResource(place=str(tmp_path / "store")), "settings": SettingsResource()}
    with dg.instance_for_test() as instance, dg.build_sensor_context(instance, resources=resources) as context:
        found = raw_objects(context)
    assert isinstance(found, dg.SkipReason)
    assert "SMALTI_RAW_URL" in str(found.skip_message)
