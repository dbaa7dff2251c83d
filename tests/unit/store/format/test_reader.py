"""The reader of one page reads every kind of value from the folder of a store, with nothing of the library."""

from __future__ import annotations

import ast
import io
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from smalti import Store, Weights, open_store
from smalti.codecs import BFloat16

PAGE = Path(__file__).parents[4] / "docs/format/reader.py"
RANDOM = np.random.default_rng(0)


def the_reader() -> ModuleType:
    spec = spec_from_file_location("reader", PAGE)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


READER = the_reader()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def read(store: Store, reference: Any) -> Any:
    return READER.value(Path(store.place), str(reference))


def folder_of(store: Store, address: str) -> Path:
    return Path(store.place) / "data" / address[7:9] / address[7:]


def test_the_reader_is_a_page_that_imports_nothing_of_the_library() -> None:
    tree = ast.parse(PAGE.read_text())
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names | {"numpy", "blake3"}
    assert len(PAGE.read_text().splitlines()) <= 250


@pytest.mark.parametrize(
    "array",
    [
        np.arange(3),
        np.zeros((0, 3)),
        np.array(3.0),
        RANDOM.random((300, 40)),
        RANDOM.integers(0, 256, (70, 17_000), np.uint8),
        np.array([("a", (1, 2))], [("s", "U3"), ("xy", "<i2", (2,))]),
        np.array(["2026-01-01"], "M8[D]"),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_arrays_come_back(store: Store, array: np.ndarray) -> None:
    found = read(store, store.put(array))
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("document", [None, 1, 8800.0, -0.0, 2**70, "é😀", [1, (2.0, [])], [{"b": 1, "a/~": (1,)}]])
def test_documents_come_back_with_their_types(store: Store, document: Any) -> None:
    assert repr(read(store, store.put(document))) == repr(document)


def test_a_tree_comes_back_in_its_order_by_its_name(store: Store) -> None:
    store.put({"old": 1}, "a/tree")
    tree = {"z": np.arange(3), "energy_eV": 8800.0, "a": b"bytes", "inner": {"shape": (2, 3), "text": "x"}}
    store.put(tree, "a/tree")
    found = read(store, "a/tree")
    assert list(found) == list(tree)
    assert repr(found) == repr(tree)


def test_weights_come_back_with_bfloat16_as_float32(store: Store) -> None:
    weights = {"b": np.arange(3, dtype="f4"), "a": np.ones((2, 2)), "h": BFloat16(np.array([0x3F80], np.uint16))}
    found = read(store, store.put(Weights(weights)))
    assert list(found) == list(weights)
    for name, tensor in weights.items():
        np.testing.assert_array_equal(found[name], np.asarray(tensor))


def test_a_table_comes_back_as_an_arrow_file(store: Store) -> None:
    frame = pd.DataFrame({"n": range(50_000), "text": [str(i) for i in range(50_000)]})
    for changed in (7, None):
        store.put(frame, "table")
        assert pa.ipc.open_file(read(store, "table")).read_all().equals(store.open("table").to_arrow())
        if changed:
            frame.loc[changed, "n"] = -1
    assert READER.find(Path(store.place), "table").recipe, "the second is a near-duplicate"


def test_near_duplicates_of_near_duplicates_and_their_slices_come_back(store: Store) -> None:
    stack = RANDOM.random((300, 64, 64), np.float32)
    for number in range(3):
        stack = stack.copy()
        stack[50 * number] = number
        store.put(stack, "stack")
    assert READER.find(Path(store.place), "stack").recipe
    np.testing.assert_array_equal(read(store, "stack"), stack)
    np.testing.assert_array_equal(READER.rows(Path(store.place), "stack", 40, 120), stack[40:120])


def test_a_raw_file_that_shares_its_arrays_comes_back_to_the_byte(store: Store) -> None:
    file = io.BytesIO()
    np.savez(file, stack=RANDOM.random((200, 64, 64), np.float32), x=np.arange(9))
    ref = store.put(file.getvalue())
    assert READER.find(Path(store.place), ref.digest).recipe
    assert read(store, ref) == file.getvalue()


def test_of_a_large_array_a_slice_reads_one_path(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = RANDOM.integers(0, 256, (9000, 16_384), np.uint8)
    ref = store.put(rows)
    changed = rows.copy()
    changed[5] = 0
    near = store.put(changed, like=ref)
    asked: list[int] = []
    plain = READER.read
    monkeypatch.setattr(READER, "read", lambda path, start, n: asked.append(n) or plain(path, start, n))
    np.testing.assert_array_equal(READER.rows(Path(store.place), ref.digest, 4000, 4003), rows[4000:4003])
    assert max(asked) == 3 * 16_384, "content"
    assert sum(asked) - max(asked) <= 2 * 64 * 40, "the leaf table"
    np.testing.assert_array_equal(READER.rows(Path(store.place), near.digest, 3, 8), changed[3:8])


@pytest.mark.parametrize("name", ["metadata.json", "data.npy", "leaves.bin", "recipe.json", "delta.bin"])
def test_a_flipped_bit_is_found(store: Store, name: str) -> None:
    rows = RANDOM.integers(0, 256, (100, 16_384), np.uint8)
    base = store.put(rows)
    rows = rows.copy()
    rows[5:9] = 0
    ref = base if name == "data.npy" else store.put(rows, like=base)
    path = folder_of(store, ref.digest) / name
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not what was stored"):
        read(store, ref)


def test_a_store_of_another_format_is_refused(store: Store) -> None:
    ref = store.put(1)
    Path(store.place, "store.json").write_text('{"format": 3, "id": "x"}')
    with pytest.raises(ValueError, match="the format of the store"):
        read(store, ref)
