"""What lies in a bucket is looked into before it is called there, and what a line has harmed is sent again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smalti import open_store
from smalti.store import Store
from smalti.store.backends.s3.bucket import PART_NBYTES, Bucket
from smalti.store.objects.object_store import ObjectStore
from tests.s3.conftest import store_at

LARGE = np.random.default_rng(0).integers(0, 256, (3 * PART_NBYTES // 65_536, 65_536), np.uint8)
SMALL = np.arange(5000.0)
MOTO = pytest.mark.parametrize("server", ["moto"], indirect=True)  # it looks at no digest, as a real server does


@pytest.fixture
def bucket(wire, url: str) -> Bucket:
    return Bucket(url, wire.endpoint)


@pytest.mark.parametrize("value", [SMALL, LARGE], ids=["small", "large"])
def test_a_body_overwritten_at_the_server_is_repaired_by_a_push_before_it_is_named(
    store: Store, server, bucket_name: str, url: str, tmp_path: Path, value: np.ndarray
) -> None:
    local = open_store(tmp_path / "local")
    ref = local.put(value, name="value")
    local.push(store, [ref])
    client, prefix = server.client(), url.removeprefix(f"s3://{bucket_name}/")
    listed = client.list_objects_v2(Bucket=bucket_name, Prefix=f"{prefix}/data/")["Contents"]
    (key,) = (found["Key"] for found in listed if "data.npy" in found["Key"])
    body = bytearray(client.get_object(Bucket=bucket_name, Key=key)["Body"].read())
    body[len(body) // 2] ^= 1
    client.put_object(Bucket=bucket_name, Key=key, Body=bytes(body))

    assert local.push(store, ["value"]).sent == 1
    np.testing.assert_array_equal(store_at(url, server.endpoint).get("value"), value)
    assert store.fsck(full=True).clean


def test_what_is_as_it_was_uploaded_is_not_read_again(store: Store, wire, tmp_path: Path) -> None:
    local = open_store(tmp_path / "local")
    local.put({"large": LARGE, "small": SMALL}, name="value")
    local.push(store)
    wire.seen.clear()
    assert local.push(store).sent == 0
    assert not [e.path for e in wire.seen if e.method == "GET" and "/data.npy" in e.path]


def test_where_the_note_of_the_upload_was_lost_the_bytes_are_read(
    objects: ObjectStore, store: Store, wire, server, bucket_name: str, url: str
) -> None:
    ref = store.put(SMALL)
    digits = ref.digest.removeprefix("sha256:")
    key = f"{url.removeprefix(f's3://{bucket_name}/')}/data/{digits[:2]}/{digits}/metadata.json"
    client = server.client()
    client.put_object(Bucket=bucket_name, Key=key, Body=client.get_object(Bucket=bucket_name, Key=key)["Body"].read())
    wire.seen.clear()
    assert objects.intact(ref.digest)
    assert [e.path for e in wire.seen if e.method == "GET" and "/data.npy" in e.path]


@MOTO
@pytest.mark.parametrize("harm", ["flip", "short"])
@pytest.mark.parametrize("nbytes", [100, PART_NBYTES + 5_500_000])
def test_what_is_harmed_on_its_way_up_is_sent_again(bucket: Bucket, wire, nbytes: int, harm: str) -> None:
    content = np.random.default_rng(0).bytes(nbytes)

    def before(exchange) -> None:
        exchange.short = harm == "short"
        if harm == "flip":
            wire.flip_a_bit_of_what_is_sent(exchange)

    harmed = wire.harm("PUT", "key", before=before)
    assert bucket.put("key", [content]).nbytes == nbytes
    assert harmed.times == 0
    assert bytes(bucket.read("key", 0, nbytes).content) == content


@MOTO
def test_a_creation_or_change_harmed_on_its_way_is_mended(bucket: Bucket, wire) -> None:
    wire.harm("PUT", "key", before=wire.flip_a_bit_of_what_is_sent)
    assert bucket.create("key", b"content")
    assert not bucket.create("key", b"other")
    assert bucket.get("key").content == b"content"
    assert bucket.replace("key", b"changed", b"content")
    wire.harm("PUT", "key", before=wire.flip_a_bit_of_what_is_sent)
    assert bucket.replace("key", b"again", b"changed")
    assert bucket.get("key").content == b"again"


def test_a_small_key_harmed_on_its_way_down_is_fetched_again(bucket: Bucket, wire) -> None:
    bucket.put("key", [b"content"])
    wire.harm("GET", "key", after=wire.flip_a_bit)
    assert bucket.get("key").content == b"content"


def test_where_etags_are_no_md5_what_comes_twice_alike_is_what_is_there(bucket: Bucket, wire) -> None:
    """As with keys of AWS's key management."""

    def as_encrypted(exchange) -> None:
        exchange.etag = '"0123456789abcdef0123456789abcdef"'

    for method in ("PUT", "GET"):
        wire.harm(method, "key", times=1e9, after=as_encrypted)
    bucket.put("key", [b"content"])
    assert bucket.get("key").content == b"content"
    wire.seen.clear()
    assert bucket.get("key").content == b"content"
    assert len(wire.seen) == 1  # once that is known


def test_a_listing_that_breaks_off_or_is_out_of_order_is_asked_for_again(bucket: Bucket, wire) -> None:
    for name in ("a", "b", "c"):
        bucket.put(f"folder/{name}", [b""])

    def disorder(exchange) -> None:
        exchange.body = exchange.body.replace(b"folder/c", b"folder/A")

    wire.harm("GET", "list-type", after=wire.cut)
    wire.harm("GET", "list-type", after=disorder)
    assert [found["path"] for found in bucket.list("folder")] == ["folder/a", "folder/b", "folder/c"]


def test_a_key_that_a_server_does_not_know_yet_is_asked_for_again(bucket: Bucket, wire) -> None:
    bucket.put("key", [b"content"])
    for method in ("GET", "HEAD"):
        wire.harm(method, "key", before=wire.answer(404, "NoSuchKey"))
    assert bucket.get("key").content == b"content"
    assert bucket.head("key")["size"] == 7
    wire.harm("GET", "key", times=3, before=wire.answer(404, "NoSuchKey"))
    assert bytes(bucket.read("key", 0, 7).content) == b"content"
