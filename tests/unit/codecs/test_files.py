"""Laws of the ordinary files: tools that know nothing of this library open, and map, what was stored."""

from __future__ import annotations

import importlib.util
import json
import mmap
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from smalti import BFloat16, Store, Weights, open_store
from smalti.codecs.arrow.schema import plain_schema
from smalti.testing import strategies, tables

FileOf = Callable[[Store, Any], Path]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(tmp_path_factory.mktemp("store"))


@settings(max_examples=100, deadline=None)
@given(array=strategies.arrays())
def test_numpy_opens_data_npy(store: Store, file_of: FileOf, array: NDArray[Any]) -> None:
    found = np.load(file_of(store, array), allow_pickle=False)
    expected = array.astype(array.dtype.newbyteorder("<"))
    assert (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


@pytest.mark.parametrize("shape", [(300, 40), (1, 4096), (512,), (2, 1, 2048)])
def test_numpy_maps_data_npy_and_its_data_begins_on_a_page(
    store: Store, file_of: FileOf, shape: tuple[int, ...]
) -> None:
    array = np.random.default_rng(0).random(shape)
    mapped = np.load(file_of(store, array), mmap_mode="r")
    assert mapped.offset % mmap.PAGESIZE == 0
    np.testing.assert_array_equal(mapped, array)


@settings(max_examples=60, deadline=None)
@given(table=tables.arrow_tables())
def test_pyarrow_maps_data_arrow(store: Store, file_of: FileOf, table: pa.Table) -> None:
    with pa.memory_map(str(file_of(store, table))) as source:
        found = pa.ipc.open_file(source).read_all()
        found.validate(full=True)
        assert found.schema.equals(plain_schema(table.schema), check_metadata=True)
        assert str(found.to_pylist()) == str(table.to_pylist() if table.num_columns else [])


def test_pyarrow_maps_data_arrow_without_copying(store: Store, file_of: FileOf) -> None:
    path = file_of(store, pd.DataFrame({"x": np.arange(100_000), "s": ["text"] * 100_000}))
    before = pa.total_allocated_bytes()
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
        assert table["x"].to_pylist()[-1] == 99_999
        assert pa.total_allocated_bytes() - before < 100_000


WEIGHTS = Weights(
    {
        "0-d": np.array(1.5, np.float32),
        "empty": np.zeros((0, 3), np.float16),
        "F order": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        "strided": np.arange(10, dtype=np.uint8)[::3],
        "bool": np.array([True, False, True]),
        "complex": np.array([1 + 2j], np.complex64),
        "bfloat16": BFloat16(np.array([[0x3F80, 0xC000]], np.uint16)),
    }
)


def test_mlx_opens_data_safetensors(store: Store, file_of: FileOf) -> None:
    program = """
import sys, json, mlx.core as mx
found = mx.load(sys.argv[1])
print(json.dumps({name: [str(array.dtype), list(array.shape), repr(array.tolist())] for name, array in found.items()}))
"""
    command = [sys.executable, "-c", program, str(file_of(store, WEIGHTS))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout or "null") == {
        "0-d": ["mlx.core.float32", [], "1.5"],
        "empty": ["mlx.core.float16", [0, 3], "[]"],
        "F order": ["mlx.core.int64", [2, 3], "[[0, 1, 2], [3, 4, 5]]"],
        "strided": ["mlx.core.uint8", [4], "[0, 3, 6, 9]"],
        "bool": ["mlx.core.bool", [3], "[True, False, True]"],
        "complex": ["mlx.core.complex64", [1], "[(1+2j)]"],
        "bfloat16": ["mlx.core.bfloat16", [1, 2], "[[1.0, -2.0]]"],
    }, done.stderr


@pytest.mark.skipif(importlib.util.find_spec("safetensors") is None, reason="safetensors is not installed")
def test_safetensors_opens_data_safetensors(store: Store, file_of: FileOf) -> None:
    from safetensors import safe_open

    with safe_open(file_of(store, WEIGHTS), "np") as file:
        assert set(file.keys()) == set(WEIGHTS.tensors)
        assert file.get_slice("bfloat16").get_dtype() == "BF16"
        for name in set(WEIGHTS.tensors) - {"bfloat16", "complex"}:  # for which it has no numpy dtype
            np.testing.assert_array_equal(file.get_tensor(name), np.asarray(WEIGHTS.tensors[name]), strict=True)


def test_data_bin_is_the_bytes_and_data_json_is_json(store: Store, file_of: FileOf) -> None:
    for content in (b"", b"\0\1", bytes(300_000)):
        assert file_of(store, content).read_bytes() == content
    for document in (None, True, -0.5, "é", [1, [2**70, {"b": 8800.0, "a": None}]]):
        written = file_of(store, document).read_bytes()
        assert repr(json.loads(written)) == repr(document)
