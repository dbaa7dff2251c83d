"""Laws of reading several batches at once: they are the batches that each alone would be, and may be written to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.loaders import MLXDataLoader, MLXLoaderConfig
from smalti.loaders.buffers import Buffers

ROWS = 90
ARRAYS = {"x": np.arange(ROWS * 6, dtype=np.float32).reshape(ROWS, 2, 3), "labels": np.arange(ROWS)}
TABLE = pa.table(
    {
        "input_ids": pa.array([list(range(1, 1 + n * 7 % 23)) for n in range(ROWS)], pa.list_(pa.int32())),
        "text": [f"row {n}" for n in range(ROWS)],
        "labels": np.arange(ROWS),
    }
)


def doubled(batch: dict[str, Any]) -> dict[str, Any]:
    batch["labels"] *= 2
    return batch


def batches_of(data: Any, position: int, **config: Any) -> list[dict[str, Any]]:
    loader = MLXDataLoader(data, MLXLoaderConfig(seed=5, **config), transform=doubled)
    loader.load_state_dict({**loader.state_dict(), "position": position})
    return list(loader.numpy())


@given(
    data=st.sampled_from([ARRAYS, TABLE]),
    batch_size=st.integers(1, 40),
    workers=st.integers(0, 2),
    world=st.integers(1, 3),
    drop_last=st.booleans(),
    position=st.integers(0, ROWS),
)
@settings(max_examples=60, deadline=None)
def test_batches_read_at_once_are_those_read_one_by_one(
    data: Any, batch_size: int, workers: int, world: int, drop_last: bool, position: int
) -> None:
    for rank in range(world):
        config: dict[str, Any] = {"batch_size": batch_size, "rank": rank, "world_size": world}
        config["drop_last"] = drop_last or world > 1  # else it warns that some ranks have a step without a batch
        many = batches_of(data, position, **config, num_workers=workers)
        alone = batches_of(data, position, **config, num_workers=0, prefetch_size=1)
        assert len(many) == len(alone)
        for found, wanted in zip(many, alone, strict=True):
            assert list(found) == list(wanted)
            for name, value in wanted.items():
                assert getattr(found[name], "dtype", None) == getattr(value, "dtype", None)
                np.testing.assert_array_equal(found[name], value)


def test_memory_is_given_out_again_only_without_any_view_of_it_left() -> None:
    for shape in ((4, 8), (600, 1000)):  # the larger begins on a huge page
        buffers = Buffers()
        first = buffers.empty(shape, np.dtype(np.float32))
        place = first.__array_interface__["data"][0]
        view = first[1:].reshape(-1).view(np.int32)[::2]
        del first
        second = buffers.empty(shape, np.dtype(np.float32))
        assert not np.shares_memory(view, second), "a view of a view holds it"
        del view
        assert buffers.empty(shape, np.dtype(np.float32)).__array_interface__["data"][0] == place
        assert second.flags.c_contiguous
        assert second.flags.writeable


def test_long_rows_begin_on_a_huge_page() -> None:
    for count in (300_000, 524_288, 2_000_000):
        made = Buffers().empty((count,), np.dtype(np.float32))
        assert made.__array_interface__["data"][0] % 2**21 == 0
        made[...] = 1
        assert made.sum() == count
