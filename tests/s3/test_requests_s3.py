"""How many requests each operation on a bucket takes, so that none is added unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from smalti.store import Store
from tests.s3.conftest import store_at

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
        return f"LIST {query.split('prefix=')[1].split('%2Fstore%2F')[-1].split('%2F')[0]}"
    path = path.split("/store/")[-1]
    name = path.rsplit("/", 1)[-1] if path.startswith(("data/", "names/")) else path.split("/")[0]
    return f"{exchange.method} {'name' if name.startswith('@') else name}"


@pytest.fixture
def store(store: Store) -> Store:
    store.put(b"begun")  # what a process does once is done
    return store


def test_show(store, wire, url, endpoint, capsys):
    def show(what, act):
        with capsys.disabled():
            got = requests(wire, act)
            print(f"\n{what}: {len(got)}  {' | '.join(got)}")

    show("put small", lambda: store.put(SMALL))
    show("put small hit", lambda: store.put(SMALL))
    show("put middle", lambda: store.put(MIDDLE))
    show("put middle hit", lambda: store.put(MIDDLE))
    show("put named small", lambda: store.put(SMALL + 1, name="n"))
    show("put named small again", lambda: store.put(SMALL + 1, name="n"))
    show("put named small new version", lambda: store.put(SMALL + 2, name="n"))
    show("put large", lambda: store.put(LARGE, name="large"))
    show("put large hit", lambda: store.put(LARGE))
    show("put near", lambda: store.put(NEAR, name="large"))
    show("put near hit", lambda: store.put(NEAR))
    show("put tree", lambda: store.put({"a": SMALL, "b": MIDDLE, "n": 1}))
    show("put tree hit", lambda: store.put({"a": SMALL, "b": MIDDLE, "n": 1}))
    fresh = lambda: store_at(url, endpoint)
    for name, value in [("small", SMALL), ("middle", MIDDLE), ("large", LARGE), ("near", NEAR)]:
        ref = store.put(value)
        one = fresh()
        show(f"get {name} fresh", lambda: one.get(ref))
        show(f"get {name} again", lambda: one.get(ref))
    one = fresh()
    show("slice large", lambda: one.open(store.put(LARGE).digest and "sha256:" + ref.digest[7:]))
    large = store.put(LARGE)
    lazy = fresh().open(large)
    show("slice large", lambda: lazy[3:5])
    show("slice large 2", lambda: lazy[50:52])
    one = fresh()
    show("get name fresh", lambda: one.get("n"))
    show("get name again", lambda: one.get("n"))
    show("versions", lambda: store.versions("n"))
    show("names", lambda: list(store.names()))
    show("pin", lambda: store.pin(large))
    show("fsck", lambda: store.fsck())
    show("fsck full", lambda: store.fsck(full=True))
    show("gc dry", lambda: store.gc())
    show("stats", lambda: store.stats())
    show("manifest", lambda: store.add_manifest("r", inputs={"x": large}))
    show("open+exists", lambda: fresh().exists())


def test_names_3000(store, backend, wire, capsys):
    with ThreadPoolExecutor(16) as t:
        list(t.map(lambda n: backend.bucket.put(f"names/a/b/c{n:04}/@000001.json", [b"{}"]), range(3000)))
    store.put(SMALL, name="a/b")
    with capsys.disabled():
        print(requests(wire, lambda: store.get("a/b")))
