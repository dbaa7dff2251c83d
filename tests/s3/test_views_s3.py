"""Laws of views in a bucket: small documents name the keys, and are put right after they were lost or changed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from smalti import open_store
from tests.s3.conftest import BucketBytes, store_at


def test_views_in_a_bucket_are_there_after_a_push_and_are_put_right(
    url: str, endpoint: str, stored: BucketBytes, tmp_path: Path
) -> None:
    local = open_store(tmp_path / "store")
    ref = local.put(np.arange(1000.0))
    names = ["plain", "with space", "a/../b", "é日本", "50%", "", "x" * 300]
    local.add_manifest("run_1", inputs=dict.fromkeys(names, ref), views=["by_project/my churn", "all"])
    store = store_at(url, endpoint)
    local.push(store)
    entries = {key: content for key, content in stored.items() if key.startswith("runs/")}
    assert len(entries) == 2 * (len(names) + 1)
    entry = json.loads(entries["runs/by_project/my churn/run_1/inputs/a%2F..%2Fb.json"])
    assert f"{entry['below']}data.npy" in set(stored)
    lost, *_, changed = sorted(entries)
    del stored[lost]
    stored[changed] = entries[lost]
    stored["runs/old/run_0/manifest.json"] = entries["runs/all/run_1/manifest.json"]
    stored["runs/notes.txt"] = b"mine"
    mended = store.rebuild_views()
    assert (mended.entries, mended.made, mended.removed) == (len(entries), 2, 1)
    after = {key: content for key, content in stored.items() if key.startswith("runs/")}
    assert after == entries | {"runs/notes.txt": b"mine"}
    store.release("run_1")
    assert store.rebuild_views().made == 0
    assert store.fsck().clean
    store.gc(dry_run=False, grace_seconds=0)
    assert {key for key in stored if key.startswith("runs/")} == set(after)
