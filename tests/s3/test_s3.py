"""What a bucket asks of a store beyond the common laws: faults on the wire, servers that cheat, ranges, removals."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from smalti.codecs import CODECS
from smalti.errors import Damaged, NotFound, Refused, SmaltiError, Unavailable
from smalti.store import Store
from smalti.store.backends.s3.backend import S3Backend
from smalti.store.backends.s3.bucket import PART_NBYTES, Bucket
from smalti.store.backends.s3.endpoint import check_endpoint
from smalti.store.backends.s3.retry import Retry
from smalti.store.documents import Documents
from smalti.store.objects.hashing import record_of
from smalti.store.objects.object_store import ObjectStore
from tests.s3.conftest import store_at, store_over

SMALL = np.arange(1000.0)  # 8 kB: more than lies in metadata.json
LARGE = np.random.default_rng(0).integers(0, 256, (3 * PART_NBYTES // 65_536, 65_536), np.uint8)


# A real server has the condition signed.
IGNORES = pytest.mark.parametrize("server", ["moto"], indirect=True)


@pytest.fixture
def store(store: Store, wire) -> Store:
    """The store under test; the wire remembers from here."""
    wire.seen.clear()
    return store


def sentence(raised: pytest.ExceptionInfo[SmaltiError]) -> str:
    """Return the message of an error, which is one sentence, repeats no secret and hides no foreign error."""
    text = str(raised.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert "canary" not in text
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    return text


class TestWrites:
    def test_a_creation_whose_reply_was_lost_counts_as_ours(self, store: Store, wire) -> None:
        wire.harm("PUT", "metadata.json", after=wire.lose_reply)
        wire.harm("PUT", "/names/", after=wire.lose_reply)
        assert store.put(np.arange(5), name="numbers").new_bytes > 0
        assert [fault.times for fault in wire.faults] == [0, 0]
        assert [version.version for version in store.versions("numbers")] == [1]
        assert store.fsck().clean

    def test_a_creation_that_another_writer_won_while_our_reply_was_lost_is_not_ours(
        self, documents: Documents, wire, url: str
    ) -> None:
        other = S3Backend.at(url, wire.target)

        def be_second(exchange) -> None:
            assert other.put("pins/a.json", b"equal")
            exchange.status = 500

        wire.harm("PUT", "pins/a.json", before=be_second)
        assert not documents.create("pins/a.json", b"equal")

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_a_server_busy_once_is_asked_again(self, store: Store, wire, method: str) -> None:
        busy = wire.harm(method, "/store/", before=wire.answer(503, "SlowDown"))
        np.testing.assert_array_equal(store.get(store.put(np.arange(5))), np.arange(5))
        assert busy.times == 0

    def test_a_server_busy_for_good_is_given_up_in_one_sentence(self, store: Store, wire) -> None:
        wire.harm("PUT", "data.npy", times=1e9, before=wire.answer(503, "SlowDown"))
        with pytest.raises(Unavailable, match=r"could not write s3://.*/data\.npy at .* 503 SlowDown") as raised:
            store.put(SMALL)
        sentence(raised)
        assert sum(e.path.endswith("data.npy") for e in wire.seen) <= 10

    def test_what_has_no_metadata_yet_is_not_there(self, store: Store, wire) -> None:
        refusal = wire.harm("PUT", "metadata.json", before=wire.answer(403, "AccessDenied"))
        with pytest.raises(Unavailable, match="403 AccessDenied"):
            store.put(np.arange(5))
        assert refusal.times == 0
        assert store.fsck().objects == 0
        assert store.put(np.arange(5)).new_bytes > 0

    def test_large_data_goes_up_in_parts_and_comes_back_in_parts(self, store: Store, wire) -> None:
        ref = store.put(LARGE)
        parts = [e for e in wire.seen if e.method == "PUT" and "partNumber" in e.path]
        assert len(parts) == 4  # 24 MiB and the header of the file
        wire.seen.clear()
        np.testing.assert_array_equal(store.get(ref), LARGE)
        ranges = wire.fetched("data.npy")
        assert [b - a for a, b in ranges] == [PART_NBYTES] * 3
        assert all(a[1] == b[0] for a, b in pairwise(ranges))

    def test_an_upload_that_failed_leaves_no_parts(self, store: Store, wire, server, bucket_name: str) -> None:
        wire.harm("PUT", "partNumber=2", times=1e9, before=wire.answer(403, "AccessDenied"))
        with pytest.raises(Unavailable, match="403 AccessDenied"):
            store.put(LARGE)
        assert not server.client().list_multipart_uploads(Bucket=bucket_name).get("Uploads")

    def test_large_data_found_there_is_not_read_while_it_is_what_was_uploaded(self, store: Store, wire) -> None:
        store.put(LARGE)
        wire.seen.clear()
        assert store.put(LARGE).new_bytes == 0
        assert not [e for e in wire.seen if e.path.endswith("data.npy")]
        assert not [e for e in wire.seen if e.method == "PUT" and "touched/" not in e.path]

    def test_large_data_that_was_written_over_is_read_whole_and_replaced(self, store: Store, stored: dict) -> None:
        ref = store.put(LARGE)
        (key,) = (key for key in stored if key.endswith("data.npy"))
        content = bytearray(stored[key])
        content[-1] ^= 1
        stored[key] = bytes(content)
        assert store.put(LARGE).new_bytes > LARGE.nbytes
        np.testing.assert_array_equal(store.get(ref), LARGE)
        assert store.fsck().clean


class TestReads:
    def test_a_slice_fetches_the_leaves_it_needs_and_no_others(self, store: Store, wire) -> None:
        ref = store.put(LARGE)  # rows of 64 KiB, each a leaf, after a header of 4 KiB
        wire.seen.clear()
        np.testing.assert_array_equal(store.open(ref)[7:9, 10:20], LARGE[7:9, 10:20])
        assert wire.fetched("data.npy") == [(4096 + 7 * 65_536, 4096 + 9 * 65_536)]

    def test_a_block_just_fetched_is_not_fetched_again(self, store: Store, wire) -> None:
        lazy = store.open(store.put(LARGE))
        wire.seen.clear()
        for _ in range(3):
            np.testing.assert_array_equal(lazy[5], LARGE[5])
        assert len(wire.fetched("data.npy")) == 1

    def test_a_bit_flipped_on_the_way_is_never_handed_out(self, store: Store, wire) -> None:
        ref = store.put(LARGE)
        lazy = store.open(ref)
        flips = wire.harm("GET", "data.npy", after=wire.flip_a_bit)
        np.testing.assert_array_equal(lazy[3], LARGE[3])
        flips.times = 1e9
        with pytest.raises(Damaged, match=f"of {ref.digest} is damaged"):
            lazy[4]
        flips.times = 0
        np.testing.assert_array_equal(store.get(ref), LARGE)

    def test_what_is_fetched_again_is_verified_again(self, store: Store, wire) -> None:
        lazy = store.open(store.put(LARGE))
        lazy[3], lazy[4]
        wire.harm("GET", "data.npy", times=1e9, after=wire.flip_a_bit)
        with pytest.raises(Damaged):
            lazy[3]

    def test_a_reply_cut_short_is_never_handed_out(self, store: Store, wire) -> None:
        ref = store.put(SMALL)
        cuts = wire.harm("GET", "data.npy", times=2, after=wire.cut)
        for _ in range(3):
            with contextlib.suppress(Damaged, Unavailable):
                np.testing.assert_array_equal(store.get(ref), SMALL)
        assert cuts.times == 0
        np.testing.assert_array_equal(store.get(ref), SMALL)

    def test_there_is_no_local_file(self, store: Store) -> None:
        assert store.file(store.put(np.arange(5))) is None


class TestOpening:
    def test_opening_takes_no_request_and_the_first_write_of_a_process_one_more(self, store: Store, wire, url) -> None:
        store.put(b"x")
        wire.seen.clear()
        other = store_at(url, wire.endpoint)
        assert wire.seen == []
        other.put(b"y")
        other.put(b"z")
        tried = [e for e in wire.seen if e.path.endswith("probe")]
        assert [(e.method, e.headers.get("if-none-match")) for e in tried] == [("PUT", "*")]

    @IGNORES
    def test_a_server_that_ignores_the_condition_is_refused(self, wire, url: str, stored: dict) -> None:
        wire.harm("PUT", "", times=1e9, before=wire.ignore_condition)
        store = store_at(url, wire.endpoint)
        for write in (lambda: store.put(b"x"), store.init, lambda: store.add_manifest("run")):
            with pytest.raises(Refused, match="ignores If-None-Match") as raised:
                write()
            assert str(raised.value).endswith(".")
        assert not stored.holds("store.json")
        assert not list(stored)

    @IGNORES
    def test_a_server_that_began_to_ignore_the_condition_is_refused(self, store: Store, wire, url: str) -> None:
        store.put(b"x", name="x")
        wire.harm("PUT", "", times=1e9, before=wire.ignore_condition)
        other = store_at(url, wire.endpoint)
        for write in (lambda: other.put(b"y"), lambda: other.pin("x"), lambda: other.gc(dry_run=False)):
            with pytest.raises(Refused, match="ignores If-None-Match"):
                write()
        assert other.get("x") == b"x"

    def test_a_server_without_conditional_creation_is_refused(self, wire, url: str) -> None:
        wire.harm("PUT", "probe", times=1e9, before=wire.answer(501, "NotImplemented"))
        with pytest.raises(Refused, match="501 NotImplemented") as raised:
            store_at(url, wire.endpoint).init()
        sentence(raised)

    def test_a_wrong_secret_is_one_sentence(self, wire, url: str) -> None:
        for method in ("PUT", "GET"):
            wire.harm(method, "", times=1e9, before=wire.answer(403, "SignatureDoesNotMatch"))
        store = store_at(url, wire.endpoint)
        for act in (lambda: store.put(b"x"), lambda: store.get("x"), lambda: list(store.names()), store.init):
            with pytest.raises(Unavailable, match="403 SignatureDoesNotMatch; check AWS_ACCESS_KEY_ID") as raised:
                act()
            sentence(raised)

    def test_credentials_that_may_only_read_are_enough_to_read(self, store: Store, wire, url: str) -> None:
        ref = store.put({"small": np.arange(5), "large": LARGE}, name="numbers")
        store.add_manifest("run", outputs={"x": ref})
        refused = wire.harm("PUT", "", times=1e9, before=wire.answer(403, "AccessDenied"))
        reader = store_at(url, wire.endpoint)
        wire.seen.clear()
        np.testing.assert_array_equal(reader.get("numbers")["large"], LARGE)
        np.testing.assert_array_equal(reader.open(ref).children["large"][3], LARGE[3])
        assert [run.run for run in reader.runs()] == ["run"]
        assert reader.stats().objects == 3
        assert {e.method for e in wire.seen} <= {"GET", "HEAD"}
        assert reader.fsck().clean, "what it could not write down of the check is no fault"
        assert reader.gc().needed == 3
        with pytest.raises(Unavailable, match="403 AccessDenied") as raised:
            reader.put(np.arange(6))
        sentence(raised)
        refused.times = 0

    def test_where_no_store_is_reading_says_so_and_makes_nothing(self, wire, url: str, server, bucket_name) -> None:
        place = f"there is no store at {url}"
        reads = [
            lambda store: store.get("x"), lambda store: store.get("sha256:" + "0" * 64), lambda store: store.fsck(),
            lambda store: list(store.names()), lambda store: store.gc(dry_run=False), lambda store: list(store.runs()),
            lambda store: store.stats(), lambda store: store.pins(), lambda store: store.forget("x"),
        ]  # fmt: skip
        for read in reads:
            with pytest.raises(NotFound, match=place):
                read(store_at(url, wire.endpoint))
        assert {e.method for e in wire.seen} == {"GET"}
        prefix = url.removeprefix(f"s3://{bucket_name}/")
        assert "Contents" not in server.client().list_objects_v2(Bucket=bucket_name, Prefix=prefix)
        store_at(url, wire.endpoint).init()
        assert store_at(url, wire.endpoint).fsck().objects == 0

    def test_a_store_of_another_format_is_refused_by_everybody(self, backend: S3Backend, url: str, wire) -> None:
        backend.bucket.put("store.json", [b'{"format": 99, "id": "x"}'])
        store = store_at(url, wire.endpoint)
        for act in (lambda: store.put(b"x"), lambda: store.get("x"), store.init, lambda: store.gc(dry_run=False)):
            with pytest.raises(Refused, match=f"the store at {url} has the format 99"):
                act()
        assert [found["path"] for found in backend.bucket.list("")] == ["store.json"]

    def test_a_wrong_secret_is_refused_by_a_real_server(self, rgw, bucket_name: str, monkeypatch) -> None:
        for name, value in {**rgw.credentials, "AWS_SECRET_ACCESS_KEY": "canary"}.items():
            monkeypatch.setenv(name, value)
        store = store_at(f"s3://{bucket_name}/store", rgw.endpoint)
        for act in (lambda: store.put(b"x"), lambda: store.get("x")):
            with pytest.raises(Unavailable, match="403 SignatureDoesNotMatch; check AWS_ACCESS_KEY_ID") as raised:
                act()
            sentence(raised)

    def test_a_versioned_bucket_is_refused_where_versions_undo_the_condition(self, rgw, monkeypatch) -> None:
        for name, value in rgw.credentials.items():
            monkeypatch.setenv(name, value)
        client = rgw.client()
        client.create_bucket(Bucket="smalti-versioned")
        client.put_bucket_versioning(Bucket="smalti-versioned", VersioningConfiguration={"Status": "Enabled"})
        with pytest.raises(Refused, match="keep the bucket unversioned"):
            store_at("s3://smalti-versioned/store", rgw.endpoint).init()

    @pytest.mark.usefixtures("url")
    def test_a_bucket_that_is_not_there_is_one_sentence(self, wire) -> None:
        store = store_at("s3://smalti-nowhere/store", wire.endpoint)
        for write in (lambda: store.put(b"x"), store.init):
            with pytest.raises(NotFound, match="there is no bucket 'smalti-nowhere' at http://127") as raised:
                write()
            sentence(raised)
        with pytest.raises(NotFound, match="there is no store at s3://smalti-nowhere/store"):
            store.get("x")

    def test_nobody_there_is_one_sentence(self, wire, url: str) -> None:
        for method in ("PUT", "GET"):
            wire.harm(method, "", times=1e9, before=wire.lose_reply, after=wire.lose_reply)
        bucket = Bucket(url, wire.endpoint, retry=Retry(tries=2))
        for act in (store_over(S3Backend(bucket)).init, lambda: store_over(S3Backend(bucket)).get("x")):
            with pytest.raises(Unavailable, match="no complete answer came") as raised:
                act()
            sentence(raised)

    @pytest.mark.parametrize(
        "url",
        ["s3://", "s3://b", "s3://Bucket/x", "s3://bucket//x", "s3://bucket/../x", "s3://bucket/x?y=1", "gs://bucket"],
    )
    def test_what_is_no_place_is_refused(self, url: str) -> None:
        with pytest.raises(Refused, match="is no place for a store; write s3://bucket/prefix"):
            Bucket(url)

    def test_a_secret_in_the_url_is_not_repeated(self) -> None:
        with pytest.raises(Refused) as raised:
            Bucket("s3://key:canary@bucket/x")
        assert "canary" not in str(raised.value)

    @pytest.mark.parametrize(
        "endpoint", ["http://10.0.0.1:80", "http://s3.example.org", "http://127.0.0.1.example.org"]
    )
    def test_data_in_the_clear_stays_on_this_machine(self, endpoint: str) -> None:
        with pytest.raises(Refused, match="is not encrypted"):
            check_endpoint(endpoint)

    @pytest.mark.parametrize("endpoint", ["ftp://127.0.0.1", "127.0.0.1:9000", "https://key:canary@host", "https://"])
    def test_an_endpoint_is_a_plain_url(self, endpoint: str) -> None:
        with pytest.raises(Refused, match="is not a plain https://host:port") as raised:
            check_endpoint(endpoint)
        assert "canary" not in str(raised.value)

    def test_without_credentials_it_says_which_to_set(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(Refused, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
            Bucket(url)


class TestRemovals:
    def test_a_put_waits_for_a_removal_and_writes_the_object_anew(self, backend: S3Backend, store: Store, wire) -> None:
        ref = store.put(np.arange(5))
        removing, looked = threading.Event(), threading.Event()

        def stop_before_removing(_) -> None:
            removing.set()
            assert looked.wait(20)

        def let_go_on(_) -> None:
            looked.set()

        wire.harm("DELETE", "metadata.json", before=stop_before_removing)
        with ThreadPoolExecutor(2) as pool:
            removal = pool.submit(backend.remove, {ref.digest: backend.clock()})
            assert removing.wait(20)
            wire.harm("GET", "removing%2F", after=let_go_on)
            put = pool.submit(partial(store.put, np.arange(5)))
            assert removal.result(30)
            assert put.result(30).new_bytes > 0
        np.testing.assert_array_equal(store.get(ref), np.arange(5))

    def test_what_a_put_found_since_is_not_removed(self, backend: S3Backend, store: Store) -> None:
        ref = store.put(np.arange(5))
        written_at = backend.lease(ref.digest, renew=False)
        assert backend.remove({ref.digest: written_at - 1}) == set()
        assert backend.lease(ref.digest, renew=False) == written_at
        assert backend.remove({ref.digest: written_at}) == {ref.digest}
        assert backend.lease(ref.digest, renew=False) == 0.0

    def test_a_collection_removes_what_nothing_needs(self, store: Store, stored: dict) -> None:
        store.put({"kept": np.arange(5)}, name="kept")
        store.put(np.arange(6))
        for _ in range(2):
            store.gc(dry_run=False, grace_seconds=0)
        assert len([key for key in stored if key.startswith("data/") and key.endswith("metadata.json")]) == 2
        assert store.fsck().clean


def test_equal_arrays_with_another_framing_share_what_is_there(objects: ObjectStore) -> None:
    """The framing is no part of the address: a later version may pad a file's header otherwise."""
    encoded = CODECS.encode(SMALL)
    record = record_of(encoded)
    objects.write(record, encoded)
    header, data = encoded.pieces
    other = type(encoded)(encoded.header, encoded.filename, (header + b" " * 64, data))
    assert record_of(other).address == record.address
    assert objects.write(record_of(other), other) == 0
    assert objects.verify(record.address).framing == record.framing
