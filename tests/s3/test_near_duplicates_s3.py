"""Near-duplicates in a bucket: only what is new goes up, whoever writes, whatever else writes at the same time."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from smalti import open_store
from smalti.codecs import CODECS
from smalti.errors import Unavailable
from smalti.store import Store
from smalti.store.backends.s3.backend import S3Backend
from smalti.store.backends.s3.index import S3Index
from smalti.store.identity import KEY
from smalti.store.objects.hashing import record_of
from smalti.store.objects.object_store import ObjectStore
from smalti.testing import FolderBytes
from tests.s3.conftest import store_at

RANDOM = np.random.default_rng(0)
STACK = RANDOM.integers(0, 2**32, (100, 64, 64), np.uint32)  # noise, which stays as it is


def changed(*rows: int) -> np.ndarray:
    stack = STACK.copy()
    stack[list(rows)] += 1
    return stack


def names_of(stored: dict, address: str) -> set[str]:
    return {key.rsplit("/", 1)[-1] for key in stored if address.removeprefix("sha256:") in key}


def write(objects: ObjectStore, value: np.ndarray, similar: Iterable[str] = ()) -> tuple[str, int]:
    encoded = CODECS.encode(value)
    record = record_of(encoded)
    return record.address, objects.write(record, encoded, list(similar))


def objects_at(url: str, endpoint: str) -> ObjectStore:
    backend = S3Backend.at(url, endpoint)
    return ObjectStore(backend, S3Index(backend))


def damage(stored: dict, address: str, name: str) -> None:
    (key,) = (key for key in stored if address.removeprefix("sha256:") in key and key.endswith(name))
    content = bytearray(stored[key])
    content[len(content) // 2] ^= 1
    stored[key] = bytes(content)


def test_only_what_is_new_goes_up(store: Store, stored: dict) -> None:
    store.put(STACK, name="stack")
    ref = store.put(changed(3, 50), name="stack")
    assert ref.new_bytes < 2 * STACK[0].nbytes + 20_000
    assert names_of(stored, ref.digest) == {"metadata.json", "leaves.bin", "recipe.json", "delta.bin"}
    np.testing.assert_array_equal(store.get(ref), changed(3, 50))
    np.testing.assert_array_equal(store.open(ref)[49:52], changed(3, 50)[49:52])
    assert store.put(changed(3, 50)).new_bytes == 0
    assert store.fsck().clean


def test_what_nothing_is_hinted_at_goes_up_whole(store: Store, stored: dict) -> None:
    store.put(STACK)
    assert "data.npy" in names_of(stored, store.put(changed(3)).digest)


def test_a_long_chain_of_versions_stays_readable_and_small(store: Store) -> None:
    stack, added = STACK, []
    for n in range(6):
        stack = stack.copy()
        stack[7 * n] += 1
        ref = store.put(stack, name="chain")
        added.append(ref.new_bytes)
        np.testing.assert_array_equal(store.get(ref), stack)
    assert max(added[1:]) < 12 * STACK[0].nbytes + 20_000
    assert store.fsck().clean


def test_a_near_duplicate_is_not_built_on_a_damaged_object(store: Store, stored: dict) -> None:
    base = store.put(STACK, name="stack")
    damage(stored, base.digest, "data.npy")
    ref = store.put(changed(3), name="stack")
    assert "data.npy" in names_of(stored, ref.digest)
    np.testing.assert_array_equal(store.get(ref), changed(3))


@pytest.mark.parametrize("name", ["metadata.json", "leaves.bin", "recipe.json", "delta.bin"])
def test_a_damaged_near_duplicate_is_named_and_mended(store: Store, stored: dict, name: str) -> None:
    store.put(STACK, name="stack")
    ref = store.put(changed(3), name="stack")
    damage(stored, ref.digest, name)
    assert {problem.place for problem in store.fsck().problems} == {ref.digest}
    store.put(changed(3))
    np.testing.assert_array_equal(store.get(ref), changed(3))
    assert store.fsck().clean


def test_a_damaged_source_that_is_put_again_heals_what_was_built_on_it(store: Store, stored: dict) -> None:
    base = store.put(STACK, name="stack")
    ref = store.put(changed(3), name="stack")
    damage(stored, base.digest, "data.npy")
    assert {problem.place for problem in store.fsck().problems} == {base.digest, ref.digest}
    store.put(STACK)
    np.testing.assert_array_equal(store.get(ref), changed(3))
    assert store.fsck().clean


def test_a_collection_keeps_what_leaves_are_taken_from(store: Store) -> None:
    base = store.put(STACK, name="stack")
    ref = store.put(changed(3), name="stack")
    store.forget("stack")
    store.pin(ref)
    for _ in range(2):
        store.gc(dry_run=False, grace_seconds=0)
    np.testing.assert_array_equal(store.get(base), STACK)
    np.testing.assert_array_equal(store.get(ref), changed(3))
    store.unpin(ref)
    for _ in range(2):
        store.gc(dry_run=False, grace_seconds=0)
    assert store.fsck().objects == 0


def test_what_is_found_while_it_is_collected_keeps_its_sources(store: Store, wire, url: str) -> None:
    base = store.put(STACK, name="stack")
    ref = store.put(changed(3), name="stack")
    store.forget("stack")
    assert {item.state for item in store.gc(dry_run=False, grace_seconds=0).unneeded} == {"condemned"}
    other = store_at(url, wire.target)
    wire.harm("PUT", f"removing/{ref.digest[7:]}", before=lambda _: other.put(changed(3)))
    states = {item.address: item.state for item in store.gc(dry_run=False, grace_seconds=0).unneeded}
    assert states == {ref.digest: "young", base.digest: "condemned"}
    np.testing.assert_array_equal(store.get(ref), changed(3))
    assert store.fsck(full=True).clean


@pytest.mark.parametrize("who_is_first", ["whole", "near-duplicate"])
def test_writers_of_one_object_agree_on_its_form(
    objects: ObjectStore, store: Store, stored: dict, wire, url: str, who_is_first: str
) -> None:
    """The second begins while the content of the first is on its way."""
    base = store.put(STACK)
    other = objects_at(url, wire.target)
    first, second = ([], [base.digest]) if who_is_first == "whole" else ([base.digest], [])
    results = []

    def be_second(_) -> None:
        results.append(write(other, changed(3), second))

    name = "data.npy" if who_is_first == "whole" else "delta.bin"
    wire.harm("PUT", name, before=be_second)
    results.append(write(objects, changed(3), first))
    assert [added > 0 for _, added in results] == [True, False]
    assert name in names_of(stored, results[0][0])
    assert store.fsck().clean
    np.testing.assert_array_equal(store.get(results[0][0]), changed(3))


def test_many_writers_with_different_hints_leave_one_sound_object(objects: ObjectStore, store: Store) -> None:
    hints = [[], *([store.put(changed(n)).digest] for n in range(3))]
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(partial(write, objects, changed(10, 11)), hints * 2))
    assert sum(added > 0 for _, added in written) == 1
    assert store.fsck().clean
    np.testing.assert_array_equal(store.get(written[0][0]), changed(10, 11))


def test_a_form_that_a_dead_writer_chose_is_kept_to(objects: ObjectStore, store: Store, stored: dict, wire) -> None:
    base = store.put(STACK)
    wire.harm("PUT", "metadata.json", before=wire.answer(403, "AccessDenied"))
    with pytest.raises(Unavailable):
        write(objects, changed(3), [base.digest])
    address, added = write(objects, changed(3))  # without a hint
    assert 0 < added < STACK.nbytes // 10
    assert "delta.bin" in names_of(stored, address)
    assert store.fsck().clean
    assert not [key for key in stored if "writing/" in key]


def test_a_form_whose_source_is_gone_is_given_up(objects: ObjectStore, store: Store, stored: dict, wire) -> None:
    base = store.put(STACK)
    wire.harm("PUT", "metadata.json", before=wire.answer(403, "AccessDenied"))
    with pytest.raises(Unavailable):
        write(objects, changed(3), [base.digest])
    assert objects.remove({base.digest: objects.backend.clock()})
    address, added = write(objects, changed(3))
    assert added > STACK.nbytes
    assert names_of(stored, address) == {"metadata.json", "leaves.bin", "data.npy"}
    assert store.fsck().clean


def test_reading_a_plain_object_costs_no_more_requests_than_its_files(store: Store, wire) -> None:
    for value, requests in ((np.arange(5), 1), (np.arange(1000.0), 2), (STACK, 3)):
        ref = store.put(value)
        wire.seen.clear()
        store.get(ref)
        assert len(wire.seen) == requests


def test_a_bucket_whose_attributes_were_lost_is_read_and_checked(store: Store, stored: dict, server, url: str) -> None:
    store.put(STACK, name="stack")
    store.put({"x": changed(3), "small": np.arange(5)}, name="stack")
    store.put(np.zeros((300, 4096)), name="zeros")
    for key in list(stored):
        stored[key] = stored[key]  # written anew, without attributes
    fresh = store_at(url, server.endpoint)
    np.testing.assert_array_equal(fresh.get("stack")["x"], changed(3))
    np.testing.assert_array_equal(fresh.get("zeros"), np.zeros((300, 4096)))
    assert fresh.fsck().clean
    assert fresh.put({"x": changed(3), "small": np.arange(5)}).new_bytes == 0


def test_a_copy_of_the_bucket_is_a_store_in_a_folder_and_back(store: Store, stored: dict, tmp_path: Path, url, server):
    store.put(STACK, name="stack")
    store.put(changed(3), name="stack")
    folder = FolderBytes(tmp_path)
    folder.update({**stored, KEY: stored[KEY]})
    local = open_store(tmp_path)
    np.testing.assert_array_equal(local.get("stack"), changed(3))
    assert local.fsck().clean
    local.put(changed(3, 4), name="stack")
    up = S3Backend.at(f"{url}-again", server.endpoint)
    for key in (*folder, KEY):
        up.bucket.put(key, [folder[key]])
    again = store_at(f"{url}-again", server.endpoint)
    np.testing.assert_array_equal(again.get("stack"), changed(3, 4))
    assert again.fsck().clean
