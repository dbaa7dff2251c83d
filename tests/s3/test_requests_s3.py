"""How many requests each operation on a bucket takes, so that none is added unnoticed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from smalti.errors import NotFound
from smalti.store import Store
from smalti.store.backends.s3.backend import S3Backend
from smalti.store.backends.s3.bucket import Bucket
from smalti.store.backends.s3.leases import Leases
from tests.s3.conftest import store_at, store_over

SMALL = np.arange(5)  # lies in metadata.json
MIDDLE = np.random.default_rng(0).random(2000)  # 16 kB, in data.npy
LARGE = np.random.default_rng(0).integers(0, 2**32, (100, 64, 64), np.uint32)  # 1.6 MB, rows of 16 kB
NEAR = LARGE + (np.arange(100) == 3)[:, None, None].astype(np.uint32)


def requests(wire, act: Callable[[], object]) -> list[str]:
    """Return what an act asks of the server: methods, and the kind of key."""
    wire.seen.clear()
    act()
    return [described(exchange) for exchange in wire.seen]


def described(exchange) -> str:
    path, _, query = exchange.path.partition("?")
    if "list-type" in query:
        (prefix,) = re.findall(r"prefix=[^&]*?%2Fstore(?:-none)?%2F([a-z]*)", query)
        return f"LIST {prefix}"
    path = path.split("/store/")[-1].split("/store-none/")[-1]
    name = path.rsplit("/", 1)[-1] if path.startswith(("data/", "names/")) else path.split("/")[0]
    return f"{exchange.method} {'name' if name.startswith(('@', '%40')) else name}"


@pytest.fixture
def store(store: Store) -> Store:
    store.put(b"begun")  # what a process does once is done
    return store


def test_what_a_put_of_something_new_asks(store: Store, wire) -> None:
    """A look, whether it is being removed, its files, and last its record; a name is looked up before and after."""
    look = ["LIST data", "LIST removing"]
    assert requests(wire, lambda: store.put(SMALL)) == [*look, "PUT metadata.json"]
    assert requests(wire, lambda: store.put(MIDDLE)) == [*look, "PUT data.npy", "PUT metadata.json"]
    named = [*look, "PUT metadata.json", "LIST names", "PUT name"]
    assert requests(wire, lambda: store.put(SMALL + 1, name="n")) == ["LIST names", *named]
    again = [*look, "PUT metadata.json", "PUT name"]
    assert requests(wire, lambda: store.put(SMALL + 2, name="n")) == ["LIST names", "GET name", *again]
    written = ["PUT data.npy", "PUT leaves.bin", "PUT metadata.json"]
    # Where two writers could choose different forms, they agree on one, and look again.
    agreed = ["LIST data", "PUT writing", *look, *written, "DELETE writing"]
    assert requests(wire, lambda: store.put(LARGE)) == agreed


@pytest.mark.parametrize("value", [SMALL, MIDDLE, LARGE], ids=["small", "middle", "large"])
def test_what_a_put_of_something_known_asks(store: Store, wire, url: str, value: np.ndarray) -> None:
    """Its lease, whether it is being removed and whether it is there; then its list of files and its record."""
    ref = store.put(value)
    found = ["PUT touched", "LIST removing", "LIST data", "LIST data", "GET metadata.json"]
    assert requests(wire, lambda: store.put(value)) == found
    other = store_at(url, wire.endpoint)
    other.put(b"begun")
    assert requests(wire, lambda: other.put(value)) == ["LIST data", *found]
    assert requests(wire, lambda: store.pin(ref)) == ["PUT touched", "LIST removing", "LIST data", "PUT pins"]


def test_what_a_near_duplicate_asks(store: Store, wire) -> None:
    store.put(LARGE, name="n")
    asked = requests(wire, lambda: store.put(NEAR, name="n"))
    own = ["PUT writing", "PUT delta.bin", "PUT leaves.bin", "PUT recipe.json", "PUT metadata.json", "DELETE writing"]
    assert [what for what in asked if not what.startswith(("GET", "LIST"))] == ["PUT touched", *own, "PUT name"]
    assert len(asked) <= 18
    assert len(requests(wire, lambda: store.put(NEAR))) <= 9


def test_what_reading_asks(store: Store, wire, url: str) -> None:
    for value, files in ((SMALL, []), (MIDDLE, ["data.npy"]), (LARGE, ["leaves.bin", "data.npy"])):
        ref = store.put(value, name="n")
        other = store_at(url, wire.endpoint)
        read = ["GET metadata.json", *(f"GET {name}" for name in files)]
        assert requests(wire, partial(other.get, ref)) == ["GET store.json", *read]
        assert requests(wire, partial(other.get, ref)) == read
        assert requests(wire, partial(other.get, "n")) == ["LIST names", "GET name", *read]
    lazy = store.open(ref)
    assert requests(wire, lambda: lazy[3:5]) == ["GET leaves.bin", "GET data.npy"]
    assert requests(wire, lambda: lazy[50:52]) == ["GET data.npy"]


def test_what_is_not_there_is_said_after_two_looks(store: Store, wire, url: str) -> None:
    def missing() -> None:
        with pytest.raises(NotFound):
            store.manifest("run")

    asked = requests(wire, missing)
    assert len(asked) == 2 * sum(what.startswith("GET") for what in asked)
    nowhere = store_at(f"{url}-none", wire.endpoint)
    assert requests(wire, nowhere.exists) == ["GET store.json", "LIST "]


def test_a_name_among_thousands_below_it_is_found_without_listing_them(store: Store, backend: S3Backend, wire) -> None:
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda n: backend.bucket.put(f"names/a/b/c{n:04}/@000001.json", [b"{}"]), range(3000)))
    for name in ("a/b", "a"):
        store.put(SMALL, name=name)
        asked = requests(wire, partial(store.get, name))
        assert asked[-2:] == ["GET name", "GET metadata.json"]
        assert len(asked) <= 4, "a page of a list, or two where a server gives short ones"


def test_what_was_found_long_ago_makes_no_collection_wait(url: str, wire) -> None:
    slept: list[float] = []
    store = store_at(url, wire.endpoint)
    store.put(SMALL)
    time.sleep(2.1)  # two of the server's seconds
    bucket = Bucket(url, wire.endpoint)
    other = store_over(S3Backend(bucket, Leases(bucket, sleep=slept.append)))
    other.gc(dry_run=False, grace_seconds=2)
    assert slept == []
    other.put(SMALL)
    other.gc(dry_run=False, grace_seconds=2)
    assert slept == [1.0], "what this process has just found is not later than the collection"
