"""Laws of loading from a bucket: the same batches as from anywhere, verified, and fetched once where they fit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from smalti import Store
from smalti.errors import Damaged
from smalti.loaders import MLXDataLoader, MLXLoaderConfig, StreamingConfig, StreamingPipeline

ROWS = np.random.default_rng(0).random((300, 64, 32), np.float32)


pytestmark = pytest.mark.usefixtures("wire")  # which remembers what was fetched


@pytest.mark.parametrize("cache_mb", [0, 64])
def test_batches_come_straight_from_the_bucket_and_are_fetched_once_where_they_fit(
    store: Store, wire, cache_mb: float
) -> None:
    ref = store.put(ROWS)
    config = MLXLoaderConfig(batch_size=16, num_workers=4, cache_mb=cache_mb)
    loader = MLXDataLoader(store.open(ref), config)
    for epoch in range(2):
        wire.seen.clear()
        rows = np.concatenate([batch["data"] for batch in loader.numpy()])
        np.testing.assert_array_equal(rows, ROWS[np.random.default_rng([0, epoch]).permutation(300)])
        if cache_mb:
            nbytes = sum(stop - start for start, stop in wire.fetched("data.npy"))
            assert nbytes <= (1.2 * ROWS.nbytes if epoch == 0 else 0)


def test_arrays_and_tables_are_streamed_from_the_bucket(store: Store) -> None:
    array = store.open(store.put(ROWS))
    table = store.open(store.put(pa.table({"x": np.arange(5000)})))
    config = StreamingConfig(buffer_size=256, chunk_size=32, num_workers=4)
    found = np.stack([sample["data"] for sample in StreamingPipeline(array, config)])
    np.testing.assert_array_equal(found, ROWS)
    config = StreamingConfig(buffer_size=4000, chunk_size=1000, num_workers=2)
    assert [int(sample["x"]) for sample in StreamingPipeline(table, config)] == list(range(5000))


def test_what_the_server_falsifies_is_not_given_out(store: Store, wire) -> None:
    ref = store.put(ROWS)
    loader = MLXDataLoader(store.open(ref), MLXLoaderConfig(batch_size=300, shuffle=False, num_workers=0))
    wire.harm("GET", "data.npy", times=9, after=wire.flip_a_bit)
    with pytest.raises(Damaged, match=r"data\.npy"):
        list(loader)
