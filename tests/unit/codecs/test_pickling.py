"""Laws of values that were opened lazily: they travel to other processes as a place and an address."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from smalti import BFloat16, LazyArray, LazyTable, Store, Tree, Weights, open_store
from smalti.errors import Damaged, Refused
from smalti.store.read.reader import Reader

STACK = np.arange(60_000, dtype=np.float32).reshape(60, 1000)
FRAME = pd.DataFrame({"x": range(5000), "s": [str(i) for i in range(5000)]})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def opened(store: Store, value: Any) -> Any:
    return store.open(store.put(value))


def there_and_back(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def test_a_lazy_array_is_the_same_array_and_no_content_travels(store: Store) -> None:
    lazy = opened(store, STACK)
    lazy.take([0, 59])
    assert np.asarray(lazy[:]).nbytes == STACK.nbytes
    assert len(pickle.dumps(lazy)) < 2000
    back = there_and_back(lazy)
    assert isinstance(back, LazyArray)
    assert (back.digest, back.shape, back.dtype) == (lazy.digest, lazy.shape, lazy.dtype)
    np.testing.assert_array_equal(back[7:9], STACK[7:9])


def test_a_lazy_table_is_the_same_table(store: Store) -> None:
    for table in (FRAME, pa.table({"v": pa.array(["a", "b"], pa.string_view())})):
        back = there_and_back(opened(store, table))
        assert isinstance(back, LazyTable)
        assert back[:2].equals(table[:2])


def test_whatever_a_tree_opens_travels_with_it(store: Store) -> None:
    value = {
        "deep": {"stack": STACK}, "half": BFloat16(np.ones(3, np.uint16)), "scalar": np.float32(1), "loss": 0.5,
        "weights": Weights({"w": np.ones(3)}), "table": FRAME,
    }  # fmt: skip
    back = there_and_back(opened(store, value))
    assert isinstance(back, Tree)
    np.testing.assert_array_equal(back.children["deep"].children["stack"][3], STACK[3])
    assert back.children["half"].bits[:].tolist() == [1, 1, 1]
    assert (type(back.children["scalar"]), back.attrs["loss"]) == (np.float32, 0.5)
    assert back.children["weights"].tensors["w"].tolist() == [1.0, 1.0, 1.0]
    assert back.children["table"][:].equals(FRAME)


def test_a_process_that_is_spawned_reads_it(store: Store) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(np.sum, [opened(store, STACK)]) == [STACK.sum()]


def test_what_travelled_is_verified_again(store: Store, tmp_path: Path) -> None:
    sent = pickle.dumps(opened(store, STACK))
    path = next(tmp_path.rglob("data.npy"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(Damaged, match="is damaged in the"):
        np.asarray(pickle.loads(sent))


def test_a_value_in_memory_says_why_it_stays() -> None:
    with pytest.raises(Refused, match="the store memory: cannot be pickled: no other process sees it"):
        pickle.dumps(opened(open_store("memory:"), STACK))


def test_a_reader_that_no_store_gave_out_says_where_to_get_one(store: Store) -> None:
    given = store.reader(store.put(STACK))
    with pytest.raises(Refused, match=r"cannot be pickled; use store\.reader"):
        pickle.dumps(Reader(given.record, given._content))
