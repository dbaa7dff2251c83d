"""Laws of exports: other tools read what was stored, nothing is written over, nothing is left when it fails."""

from __future__ import annotations

import csv
import importlib.util
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import Store, Tree, Weights, open_store
from smalti.codecs import BFloat16, RawFile
from smalti.codecs.export import export_value
from smalti.errors import NotFound, Refused, Unavailable

STACK = np.random.default_rng(0).random((4, 3, 2), np.float32)
TREE = Tree(
    {
        "stack": STACK,
        "inner": Tree({"names": np.array(["a", "čé"]), "ids": np.arange(3)}, {"deep": [1, None]}),
        "weights": Weights({"layer.bias": np.zeros(2, np.float16)}),
        "raw": b"\0\1",
    },
    {"energy_eV": 8800.0, "title": "star", "note": None},
)
NAMES = st.text("abc", min_size=1, max_size=3)
FRAME = pd.DataFrame({"x": [1, 2], "s": ["a", None]}, index=pd.Index([7, 9], name="row"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


EVERY_KIND = {
    "complex": np.array([1 + 2j, -0.0]),
    "bool": np.array([True, False]),
    "half": np.array([1.5, np.nan], np.float16),
    "times": np.array(["2020", "NaT"], "M8[s]"),
    "bytes": np.array([b"a\0b", b""]),
    "text": np.array(["a", "čé"]),
    "structure": np.array([(1, 2.5), (3, -0.0)], [("a", "<i4"), ("b", "<f8")]),
    "0-d": np.array(3.0),
    "empty": np.zeros((0, 3)),
    "F order": np.asfortranarray(np.arange(6).reshape(2, 3)),
}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_an_array_of_every_kind_is_the_same_in_npz_hdf5_and_zarr_or_refused(tmp_path: Path, kind: str) -> None:
    array = EVERY_KIND[kind]
    export_value(array, tmp_path / "a.npz", "npz")
    found = [np.load(tmp_path / "a.npz")["data"]]
    if kind != "times":  # see what is refused, below
        export_value(array, tmp_path / "a.h5", "hdf5")
        with h5py.File(tmp_path / "a.h5") as file:
            found.append(file["data"].asstr()[()].astype(array.dtype) if kind == "text" else file["data"][()])
    if importlib.util.find_spec("zarr"):
        import zarr

        with warnings.catch_warnings(action="ignore"):  # zarr's, of fixed-size texts and structures in its version 3
            export_value(array, tmp_path / "a.zarr", "zarr")
            found.append(zarr.open_group(tmp_path / "a.zarr", mode="r")["data"][()])
    for back in map(np.asarray, found):
        assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_attributes_of_every_kind_are_in_hdf5(tmp_path: Path) -> None:
    export_value(Tree({}, {"long": 2**70, "true": True, "list": [1, None]}), tmp_path / "t.h5", "hdf5")
    with h5py.File(tmp_path / "t.h5") as file:
        assert dict(file.attrs) == {"long": str(2**70), "true": True, "list": "[1, null]"}


def test_an_array_becomes_npy(store: Store, tmp_path: Path) -> None:
    for number, value in enumerate((STACK, store.open(store.put(STACK)))):
        export_value(value, tmp_path / f"{number}.npy", "npy")
        np.testing.assert_array_equal(np.load(tmp_path / f"{number}.npy"), STACK)


def test_a_tree_becomes_npz_with_paths_as_names(store: Store, tmp_path: Path) -> None:
    export_value(store.open(store.put(TREE)), tmp_path / "tree.npz", "npz")
    with np.load(tmp_path / "tree.npz") as archive:
        assert set(archive) == {
            "attrs.json", "stack", "inner/attrs.json", "inner/names", "inner/ids", "weights/layer.bias", "raw",
        }  # fmt: skip
        np.testing.assert_array_equal(archive["stack"], STACK)
        assert archive["inner/names"].tolist() == ["a", "čé"]
        assert archive["raw"].tobytes() == b"\0\1"
        assert json.loads(str(archive["attrs.json"])) == TREE.attrs


def test_a_tree_becomes_hdf5_groups(tmp_path: Path) -> None:
    export_value(TREE, tmp_path / "tree.h5", "hdf5")
    with h5py.File(tmp_path / "tree.h5") as file:
        np.testing.assert_array_equal(file["stack"], STACK)
        assert file["inner/names"].asstr()[:].tolist() == ["a", "čé"]
        assert file["weights/layer.bias"].dtype == np.float16
        assert (file.attrs["energy_eV"], file.attrs["title"], file.attrs["note"]) == (8800.0, "star", "null")
        assert json.loads(file["inner"].attrs["deep"]) == [1, None]


def test_a_plain_mapping_and_a_typed_value_are_trees_and_an_array_alone_is_data(tmp_path: Path) -> None:
    export_value({"a": STACK, "n": 1}, tmp_path / "mapping.npz", "npz")
    export_value(RawFile("a.bin", b"xyz"), tmp_path / "typed.h5", "hdf5")
    export_value(BFloat16(np.array([0x3F80], np.uint16)), tmp_path / "alone.h5", "hdf5")
    assert set(np.load(tmp_path / "mapping.npz")) == {"a", "attrs.json"}
    with h5py.File(tmp_path / "typed.h5") as typed, h5py.File(tmp_path / "alone.h5") as alone:
        assert (typed["content"][:].tobytes(), typed.attrs["filename"]) == (b"xyz", "a.bin")
        assert alone["data"][:].tolist() == [1.0]


def test_a_frame_becomes_parquet_that_pandas_reads_back(store: Store, tmp_path: Path) -> None:
    export_value(store.open(store.put(FRAME)), tmp_path / "t.parquet", "parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), FRAME)


def test_an_arrow_table_becomes_parquet_and_csv(tmp_path: Path) -> None:
    table = pa.table({"x": [1, 2], "s": ["a", "b"]})
    export_value(table, tmp_path / "t.parquet", "parquet")
    export_value(table, tmp_path / "t.csv", "csv")
    assert pq.read_table(tmp_path / "t.parquet").equals(table)
    assert (tmp_path / "t.csv").read_text() == '"x","s"\n1,"a"\n2,"b"\n'


def test_csv_has_the_index_where_it_says_something(tmp_path: Path) -> None:
    export_value(FRAME, tmp_path / "index.csv", "csv")
    export_value(FRAME.reset_index(drop=True), tmp_path / "range.csv", "csv")
    assert (tmp_path / "index.csv").read_text() == "row,x,s\n7,1,a\n9,2,\n"
    assert (tmp_path / "range.csv").read_text() == "x,s\n1,a\n2,\n"


@settings(deadline=None)
@given(start=st.integers(-2, 2), step=st.integers(-2, 2).filter(bool), count=st.integers(0, 3), name=st.none() | NAMES)
def test_csv_leaves_out_no_index_but_the_one_that_counts_from_0(
    start: int, step: int, count: int, name: str | None
) -> None:
    index = pd.RangeIndex(start, start + step * count, step, name=name)
    with tempfile.TemporaryDirectory() as folder:
        export_value(pd.DataFrame({"x": range(count)}, index), Path(folder) / "t.csv", "csv")
        header, *rows = (Path(folder) / "t.csv").read_text().splitlines()
    if header == "x":
        assert name is None
        assert list(index) == list(range(count))
    else:
        assert (header, rows) == (f"{name or ''},x", [f"{label},{x}" for x, label in enumerate(index)])


def test_a_text_with_any_end_of_line_is_one_field_of_csv(tmp_path: Path) -> None:
    texts = ["a\rb", "a\nb", "a\r\nb", 'a"b', "a,b", ""]
    export_value(pd.DataFrame({"s": texts}), tmp_path / "t.csv", "csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["s", *texts]


def test_a_slash_in_a_name_leads_into_a_group(tmp_path: Path) -> None:
    export_value({"linear/w": STACK, "linear/b": np.zeros(2), "c": np.ones(1)}, tmp_path / "t.npz", "npz")
    export_value({"linear/w": STACK, "linear/b": np.zeros(2), "c": np.ones(1)}, tmp_path / "t.h5", "hdf5")
    assert list(np.load(tmp_path / "t.npz")) == ["linear/w", "linear/b", "c"]
    with h5py.File(tmp_path / "t.h5") as file:
        np.testing.assert_array_equal(file["linear"]["w"], STACK)


@pytest.mark.skipif(importlib.util.find_spec("zarr") is not None, reason="zarr is installed")
def test_zarr_asks_to_be_installed(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="pip install zarr"):
        export_value(TREE, tmp_path / "tree.zarr", "zarr")
    assert not list(tmp_path.iterdir())


def test_a_tree_becomes_zarr_groups(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    tree = Tree({"stack": STACK, "inner": Tree({"ids": np.arange(3)}, {"deep": [1, None]})}, {"title": "star"})
    export_value(tree, tmp_path / "tree.zarr", "zarr")
    group = zarr.open_group(tmp_path / "tree.zarr", mode="r")
    np.testing.assert_array_equal(group["stack"][:], STACK)
    assert (group.attrs["title"], group["inner"].attrs["deep"]) == ("star", [1, None])


@pytest.mark.parametrize(
    ("value", "form", "message"),
    [
        (STACK, "xlsx", "'xlsx' is no form to export to; choose one of npy, npz, hdf5, zarr, parquet, csv"),
        (TREE, "npy", "a Tree is no array"),
        (STACK, "parquet", "a ndarray is no table, and Parquet holds one"),
        (FRAME, "npz", "this value is a DataFrame, no array or tree"),
        (Tree({"t": FRAME}), "hdf5", "/t is a DataFrame, no array or tree"),
        (Tree({"t": Tree({"d": [1]})}), "npz", "t/d/ is a list"),
        (Tree({"../x": STACK}), "npz", "the child '../x' cannot be the name"),
        (Tree({"t": np.array(["2020"], "M8[D]")}), "hdf5", "hdf5 cannot hold this value"),
        (pa.table({"x": [[1]]}), "csv", "column 'x' is of list<item: int64>, and CSV holds texts and numbers"),
        (pd.DataFrame({"x": [[1], [2]]}), "csv", "column 'x' is of list<item: int64>, and CSV"),
        (pd.DataFrame({"x": [b"a"]}), "csv", "column 'x' is of binary, and CSV"),
        (Tree({"attrs.json": STACK}, {"x": 1}), "npz", "the child 'attrs.json' cannot be the name"),
        (Tree({"a/../x": STACK}), "hdf5", "the child 'a/../x' cannot be the name"),
        (Tree({"/x": STACK}), "hdf5", "the child '/x' cannot be the name"),
        (Tree({"a": STACK, "a/b": STACK}), "hdf5", "the child 'a/b' would lie in the child 'a' of the same tree"),
        (Tree({"a": Tree({"b": STACK}), "a/b": STACK}), "npz", "two arrays would be called 'a/b' in an archive"),
        (pd.DataFrame({"s": ["", None, "a"]}), "csv", "column 's' has empty texts beside missing ones"),
        (Weights({"a\0b": STACK}), "npz", "the child 'a.x00b' cannot be the name"),
        (Weights({"": STACK}), "hdf5", "the child '' cannot be the name"),
        (np.zeros(2, complex), "csv", "a ndarray is no table, and CSV holds one"),
        (TREE, "parquet", "a Tree is no table, and Parquet holds one"),
        (b"raw", "npz", "this value is a bytes, no array or tree; write its own file"),
    ],
)
def test_what_a_form_cannot_hold_is_refused_and_leaves_nothing(
    tmp_path: Path, value: Any, form: str, message: str
) -> None:
    with pytest.raises(Refused, match=message):
        export_value(value, tmp_path / "out", form)
    assert not list(tmp_path.iterdir())


def test_an_export_never_goes_over_a_file_and_needs_a_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.npy").write_text("mine")
    with pytest.raises(Refused, match=r"mine.npy exists already"):
        export_value(STACK, tmp_path / "mine.npy", "npy")
    assert (tmp_path / "mine.npy").read_text() == "mine"
    with pytest.raises(NotFound, match="is no folder"):
        export_value(STACK, tmp_path / "nowhere" / "x.npy", "npy")


def test_a_file_that_comes_to_exist_meanwhile_is_kept(tmp_path: Path) -> None:
    class Intruder(dict[str, Any]):
        """A mapping that writes to the place of the export while it is read."""

        def items(self) -> Any:
            (tmp_path / "x.npz").write_text("mine")
            return super().items()

    with pytest.raises(Refused, match="came to exist meanwhile"):
        export_value(Intruder(a=STACK), tmp_path / "x.npz", "npz")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_machine_that_refuses_to_write_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"could not finish exporting to /proc/x\.npy"):
        export_value(STACK, Path("/proc/x.npy"), "npy")
