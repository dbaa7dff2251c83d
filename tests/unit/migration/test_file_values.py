"""Laws of single files as values: what is stored is what the file holds, and a difference is seen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalti import Store, open_store
from smalti.migration.naming import run_names, segment
from smalti.migration.values.forms import Form, form_of, value_of
from smalti.store.names import check_name

_LOOSE = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def stored(path: Path, form: Form) -> tuple[Store, str]:
    """Store a file, make sure that it is the same, and return where and what."""
    store = open_store("memory:")
    value = value_of(path, form)
    ref = value.put(store)
    assert value.is_same(store.open(ref))
    return store, ref.digest


@_LOOSE
@given(
    array=hnp.arrays(
        st.sampled_from(["<f8", ">f4", "<i2", ">u8", "?", "<c8", "S3", "<U2", "<M8[s]"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
    ),
    fortran=st.booleans(),
)
def test_an_array_has_the_address_that_it_has_when_it_is_put(tmp_path: Path, array: np.ndarray, fortran: bool) -> None:
    np.save(tmp_path / "x.npy", np.asfortranarray(array) if fortran and array.ndim else array)
    store, address = stored(tmp_path / "x.npy", "array")
    assert address == store.put(np.asarray(array)).digest


@pytest.mark.parametrize("change", ["value", "shape", "dtype", "sign of zero", "payload of a nan"])
def test_every_difference_of_an_array_is_seen(tmp_path: Path, change: str) -> None:
    array = np.array([[0.0, 1.0], [np.nan, 3.0]])
    np.save(tmp_path / "x.npy", array)
    other = {
        "value": array + 1,
        "shape": array.reshape(4),
        "dtype": array.astype(np.float32),
        "sign of zero": np.where(array == 0, -0.0, array),
        "payload of a nan": np.where(np.isnan(array), np.uint64(0x7FF8000000000001).view(np.float64), array),
    }[change]
    assert not value_of(tmp_path / "x.npy", "array").is_same(other)


@pytest.mark.parametrize("index", [None, pd.Index(["a", "b", "c"], name="id"), pd.RangeIndex(5, 8)])
def test_a_table_of_pandas_is_the_frame_that_it_was(tmp_path: Path, index: pd.Index | None) -> None:
    columns = {"x": [1.5, np.nan, 3], "t": pd.to_datetime(["2024-01-01", None, "2024-01-03"]), "s": ["a", None, "c"]}
    frame = pd.DataFrame({**columns, "c": pd.Categorical(["u", "v", "u"])}, index=index)
    frame.to_parquet(tmp_path / "x.parquet")
    store, address = stored(tmp_path / "x.parquet", "table")
    pd.testing.assert_frame_equal(store.get(address), frame)
    assert address == store.put(frame).digest
    for other in (frame.assign(x=[1.5, 2, 3]), frame.rename(columns={"x": "y"}), frame.iloc[::-1]):
        back = store.open(store.put(other))
        assert not value_of(tmp_path / "x.parquet", "table").is_same(back)


def test_a_table_of_another_tool_is_an_arrow_table(tmp_path: Path) -> None:
    table = pa.table({"x": pa.array([1.0, float("nan"), None]), "l": pa.array([[1], None, []], pa.list_(pa.int8()))})
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    store, address = stored(tmp_path / "x.parquet", "table")
    assert store.get(address).schema.names == ["x", "l"]
    other = store.open(store.put(table.set_column(0, "x", pa.array([1.0, 2.0, None]))))
    assert not value_of(tmp_path / "x.parquet", "table").is_same(other)


_TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner),
    max_leaves=12,
)  # fmt: skip


@_LOOSE
@given(document=_JSON)
def test_a_document_comes_back_as_it_was(tmp_path: Path, document: object) -> None:
    (tmp_path / "x.json").write_text(json.dumps(document, indent=2))
    store, address = stored(tmp_path / "x.json", "document")
    assert store.get(address) == document


@_LOOSE
@given(content=st.binary(max_size=3000))
def test_bytes_come_back_as_they_were(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.bin").write_bytes(content)
    store, address = stored(tmp_path / "x.bin", "bytes")
    assert store.get(address) == content
    assert not value_of(tmp_path / "x.bin", "bytes").is_same(content + b"x")


@_LOOSE
@given(
    frame=st.lists(
        st.tuples(
            st.integers(-(2**62), 2**62) | st.none(),
            st.floats(allow_infinity=False) | st.none(),
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=4),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_csv_that_is_stored_as_a_table_gives_its_bytes_back(tmp_path: Path, frame: list) -> None:
    pd.DataFrame(frame, columns=["i", "f", "s"]).to_csv(tmp_path / "x.csv", index=False)
    content = (tmp_path / "x.csv").read_bytes()
    try:
        store, address = stored(tmp_path / "x.csv", "csv table")
    except ValueError:  # it is kept as bytes then
        return
    assert store.get(address).to_csv(index=False).encode() == content


def test_the_form_follows_the_ending() -> None:
    forms = {path: form_of(path) for path in ("a.npy", "a.PARQUET", "a.json", "model.pkl", "a", ".npy/x")}
    assert list(forms.values()) == ["array", "table", "document", "bytes", "bytes", "bytes"]


@given(text=st.text(max_size=200))
def test_every_text_has_a_name_that_a_store_allows(text: str) -> None:
    assert check_name(segment(text)) == segment(segment(text))


@given(places=st.dictionaries(st.text(max_size=8), st.sampled_from(["a", "A", "b", "ü", "u", "", "." * 3]), max_size=8))
def test_no_two_runs_are_called_the_same_letter_case_apart(places: dict[str, str]) -> None:
    names = run_names("", places.items())
    assert len({name.casefold() for name in names.values()}) == len(places)
