"""Laws of putting a file of your own: it is what the ordinary reader of its format gives, or refused with its place."""

from __future__ import annotations

import io
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalti import Store, open_store
from smalti.cli import main
from smalti.cli.stored.local_file import value_of
from smalti.errors import Refused

Run = Callable[..., str]

DTYPES = st.sampled_from(
    ["<f4", ">f8", "i2", "?", "<c8", "<M8[D]", "<m8[ns]", "<U3", "S2", [("a", "<i4"), ("b", "<f4", (2,))]]
).map(np.dtype)
NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=3)
ARCHIVES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join), hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0)), max_size=4
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in ``tmp_path``, which is its root too; return what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))

    def command(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["smalti", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert int(ended.value.code or 0) == code, printed.err
        return printed.out + printed.err

    return command


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


@settings(deadline=None, max_examples=60)
@given(arrays=ARCHIVES, packed=st.booleans())
def test_an_archive_is_what_numpy_reads_of_it(arrays: dict[str, np.ndarray], packed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        (np.savez_compressed if packed else np.savez)(path, **arrays)
        found = value_of(path, opaque=False)
        with np.load(path) as archive:
            assert list(found) == list(archive)
            for name, array in archive.items():
                assert type(found[name]) is np.ndarray
                assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
                assert found[name].tobytes() == array.tobytes()


def test_what_was_put_of_an_archive_comes_back_as_an_archive_a_folder_and_hdf5(run: Run, tmp_path: Path) -> None:
    arrays = {f"layers/{i}/weight": np.full(3, i, np.float32) for i in range(100)}
    arrays["made"] = np.array(["2024-01-01"], "M8[D]")
    arrays["rows"] = np.zeros(2, [("a", "i4"), ("b", "f4")])
    np.savez(tmp_path / "a.npz", **arrays)
    run("put", "a.npz", "--name", "a")
    run("get", "a", "--as", "npz", "-o", "b.npz")
    run("get", "a", "-o", "folder")
    with np.load(tmp_path / "b.npz") as back:
        assert set(back) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(back[name], array, strict=True)
            np.testing.assert_array_equal(np.load(tmp_path / "folder" / f"{name}.npy"), array, strict=True)
    del arrays["made"]  # HDF5 has no times
    np.savez(tmp_path / "c.npz", **arrays)
    run("put", "c.npz", "--name", "c")
    run("get", "c", "--as", "hdf5", "-o", "c.h5")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "c.h5") as file:
        assert file["layers/7/weight"][:].tolist() == [7.0, 7.0, 7.0]


def test_a_member_that_is_no_array_is_its_bytes_and_what_a_system_left_is_nothing(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(3))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("notes.txt", b"kept")
        archive.writestr("empty", b"")
        archive.writestr("__MACOSX/._x.npy", b"junk")
    found = value_of(tmp_path / "a.npz", opaque=False)
    assert (found.pop("x").tolist(), found) == ([0, 1, 2], {"notes.txt": b"kept", "empty": b""})


def archive_of(path: Path, **members: bytes) -> Path:
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w") as archive:  # a name that is there twice
        for name, content in members.items():
            archive.writestr(name.replace("__npy", ".npy").replace("_again", ""), content)
    return path


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"o__npy": npy(np.array([None], object))}, r"the member 'o\.npy' of .* cannot be read \(Object arrays cannot"),
        ({"x__npy": npy(np.arange(9))[:-1]}, r"the member 'x\.npy' of .* cannot be read"),
        ({"x__npy": npy(np.arange(9)) + b"1"}, r"the member 'x\.npy' of .*it goes on after its array"),
        ({"x__npy": npy(np.arange(9)), "x": b""}, "holds 'x' twice, and one would be lost"),
        ({"x__npy": b"\x93NUMPY\x09\x09"}, r"the member 'x\.npy' of .* cannot be read"),
    ],
)
def test_an_archive_that_cannot_be_read_is_refused_by_the_member_and_the_way(
    tmp_path: Path, members: dict[str, bytes], said: str
) -> None:
    with pytest.raises(Refused, match=rf"{said}.*--opaque keeps the file as bytes\."):
        value_of(archive_of(tmp_path / "a.npz", **members), opaque=False)


def test_an_archive_with_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "a.npz", x__npy=npy(np.arange(9)))
    content = bytearray(path.read_bytes())
    content[content.index(npy(np.arange(9))) + 150] ^= 1
    path.write_bytes(content)
    with pytest.raises(Refused, match=r"the member 'x\.npy' of .*Bad CRC-32"):
        value_of(path, opaque=False)


def test_a_value_that_no_codec_takes_names_its_file_and_the_way(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "long.npy", np.zeros(2, np.longdouble))
    tags = pa.array([["x"]], pa.list_(pa.dictionary(pa.int32(), pa.string())))
    pq.write_table(pa.table({"tags": tags}), tmp_path / "tags.parquet")
    assert "smalti: long.npy: an array of dtype float128" in run("put", "long.npy", code=1)
    printed = run("put", "tags.parquet", code=1)
    assert "smalti: tags.parquet: column 'tags'" in printed
    assert "--opaque keeps the file as bytes." in printed
    assert "bytes" in run("put", "tags.parquet", "--opaque")
    assert "--opaque" not in run("put", "tags.parquet", "--opaque", "--name", "../up", code=1)


def test_a_parquet_file_is_the_same_value_in_whatever_folder_it_lies(run: Run, store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "year=2024" / "region=EU"
    folder.mkdir(parents=True)
    table = pa.table({"a": [1, 2], "year": ["x", "y"]})
    for place in (tmp_path, folder):
        pq.write_table(table, place / "t.parquet")
    run("put", "t.parquet", "--name", "here")
    run("put", str(folder / "t.parquet"), "--name", "there")
    assert store.ref("here") == store.ref("there")
    assert store.get("there").equals(table)


@pytest.mark.parametrize("column", ["uuid", "json", "string_view", "binary_view"])
def test_a_parquet_file_with_a_column_of_a_newer_type_comes_back_as_a_table_of_it(
    run: Run, store: Store, tmp_path: Path, column: str
) -> None:
    array = {
        "uuid": pa.array([bytes(range(16)), None], pa.uuid()),
        "json": pa.array(['{"a": 1}', None], pa.json_()),
        "string_view": pa.array(["x", "longer than twelve bytes"], pa.string_view()),
        "binary_view": pa.array([b"x", None], pa.binary_view()),
    }[column]
    pq.write_table(pa.table({"c": array}), tmp_path / "t.parquet")
    run("put", "t.parquet", "--name", "t")
    assert store.get("t")["c"].to_pylist() == array.to_pylist()
    assert store.get("t").schema.types == pq.read_table(tmp_path / "t.parquet").schema.types
    run("get", "t", "--as", "parquet", "-o", "back.parquet")
    assert pq.read_table(tmp_path / "back.parquet")["c"].to_pylist() == array.to_pylist()


FRAMES = {
    "whole numbers of 64 bits": pd.DataFrame(
        {"id": np.array([2**64 - 1, 2**63], np.uint64), "n": [-(2**63), 2**63 - 1]}
    ),
    "floats": pd.DataFrame({"x": [0.1, 1e-300, -0.0, np.inf, np.nan]}),
    "texts": pd.DataFrame({"s": ["a", 'quote " and, comma', "two\nlines", "two\rlines", "é"]}),
    "an index": pd.DataFrame({"x": [1, 2]}, pd.Index([7, 9], name="row")),
    "a range that says something": pd.DataFrame({"x": [1, 2]}, pd.RangeIndex(5, 9, 2, name="row")),
    "times": pd.DataFrame({"t": pd.to_datetime(["2024-01-01 12:00:00.123456789"]).as_unit("ns")}),
    "truths": pd.DataFrame({"b": [True, False]}),
}


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_frame_that_goes_out_comes_back_with_the_same_values(
    run: Run, store: Store, tmp_path: Path, kind: str, form: str
) -> None:
    frame = FRAMES[kind]
    store.put(frame, "frame")
    run("get", "frame", "--as", form, "-o", f"out.{form}")
    if form == "parquet":
        back = pd.read_parquet(tmp_path / "out.parquet")
    else:
        named = frame.index.names if frame.index.name else None
        back = pd.read_csv(tmp_path / "out.csv", index_col=named)
        back = back.astype({"t": "M8[ns]"}) if "t" in back else back
    pd.testing.assert_frame_equal(back, frame, check_exact=True, check_index_type=False)
