"""All that only reads a store, for tests where nothing can be written: read-only folders and disks, full disks."""

from __future__ import annotations

import numpy as np

from smalti import Store, open_store


def fill(store: Store) -> None:
    """Put what ``use`` looks at: a name with two versions of a tree, near-duplicates, a pin, a run, and garbage."""
    rows = np.repeat(np.arange(4000.0), 4).reshape(4000, 4)
    store.put({"a": np.arange(99), "large": rows}, name="value")
    ref = store.put({"a": np.arange(100), "large": np.concatenate([rows, rows[:9]])}, name="value")
    store.pin(ref)
    store.add_manifest("run", inputs={"x": store.put(np.arange(7))}, outputs={"y": ref})
    store.put(b"nobody needs it")


def use(store: Store) -> None:
    """Do all that only reads: read, look up, check, collect dry, compare, add up and send."""
    assert store.get("value")["a"].sum() == 4950
    assert store.open("value").children["large"][7, 1] == 7
    assert [named.name for named in store.names()] == ["value"]
    assert [len(store.versions("value")), len(store.pins())] == [2, 1]
    assert [use.run for use in store.runs_of("value")] == ["run"]
    assert [manifest.run for manifest in store.runs()] == ["run"]
    assert store.lineage("value", "upstream")[0].run == "run"
    assert store.fsck().clean
    assert store.fsck(full=True).clean
    assert [one.state for one in store.gc(grace_seconds=0).unneeded] == ["condemned"]
    assert store.stats().objects > 5
    assert not store.diff("value", store.versions("value")[0].address).equal
    target = open_store("memory:")
    assert store.push(target).sent > 2
    assert store.verify(target).clean
