"""Laws of tables of rarer types: views, extension types, UUIDs, and labels of columns that are no plain text."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import Store, open_store
from smalti.codecs import CODECS
from smalti.codecs.arrow.schema import field_of
from smalti.errors import Refused
from smalti.store.values import Encoded

TEXTS = st.lists(st.none() | st.text(max_size=20), max_size=5)
UUIDS = st.lists(st.none() | st.uuids().map(lambda each: each.bytes), max_size=5)


@pytest.fixture
def store() -> Store:
    return open_store("memory:")


def nested(array: pa.Array) -> list[pa.Array]:
    """An array by itself, in lists and in a structure."""
    ends = pa.array([0, len(array), len(array)], pa.int32())
    return [array, pa.ListArray.from_arrays(ends, array), pa.StructArray.from_arrays([array, array], ["a", "b"])]


@settings(deadline=None, max_examples=40)
@given(texts=TEXTS, numbers=UUIDS, cut=st.integers(0, 5))
def test_views_and_extension_types_come_back_as_they_were(
    texts: list[str | None], numbers: list[bytes | None], cut: int
) -> None:
    store = open_store("memory:")
    arrays = [
        pa.array(texts, pa.string_view()),
        pa.array([text and text.encode() for text in texts], pa.binary_view()),
        pa.array(numbers, pa.uuid()),
        pa.ExtensionArray.from_storage(pa.json_(), pa.array([text and "[]" for text in texts], pa.string())),
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([len(text or "") for text in texts], pa.int8())),
    ]
    for array in arrays:
        for column in nested(array):
            table = pa.table({"x": column})
            ref = store.put(table)
            for found in (store.get(ref), store.open(ref).to_arrow(), store.open(ref)[:]):
                found.validate(full=True)
                assert found.equals(table)
            assert store.put(table.slice(0)).digest == ref.digest
            assert store.open(ref).schema == table.schema
            assert store.open(ref)[:cut].equals(table[:cut])


def test_how_a_text_is_laid_out_is_part_of_the_value_and_of_its_address(store: Store) -> None:
    one, other = (pa.table({"x": pa.array(["a"], dtype)}) for dtype in (pa.string(), pa.string_view()))
    assert store.put(one).digest != store.put(other).digest
    assert store.get(store.put(one)).schema == one.schema


def test_content_that_is_none_of_a_type_is_refused_before_it_is_cast() -> None:
    encoded = CODECS.encode(pa.table({"x": pa.array(["a", "b"], pa.string_view())}))
    assert isinstance(encoded, Encoded)
    validity, _, text = (memoryview(bytes(buffer.data)) for buffer in encoded.buffers)
    far = memoryview(np.array([0, 2**40, 2], "<i8").tobytes())
    with pytest.raises(Refused, match="the column 'x' is no string_view"):
        CODECS.decode(encoded.header, [validity, far, text])


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"extension": "own.type", "storage": "int8"}, "the extension type 'own.type'; this version knows arrow.uuid"),
        ({"extension": "arrow.uuid", "storage": "int8"}, "lies in int8, which is not how it is stored"),
    ],
)
def test_an_extension_type_that_is_not_known_is_refused(described: Any, said: str) -> None:
    with pytest.raises(Refused, match=said):
        field_of({"name": "x", "type": described})


def test_a_field_that_may_not_be_null_and_its_metadata_come_back(store: Store) -> None:
    schema = pa.schema([pa.field("x", pa.string_view(), nullable=False, metadata={"unit": "m"})], {"of": "table"})
    table = pa.table([pa.array(["a"], pa.string_view())], schema=schema)
    assert store.get(store.put(table)).schema.equals(schema, check_metadata=True)


def test_objects_that_are_uuids_come_back_as_uuids(store: Store) -> None:
    frame = pd.DataFrame({"id": [uuid.UUID(int=7), None], "n": [1, 2]})
    found = store.get(store.put(frame))
    assert found["id"].tolist() == [uuid.UUID(int=7), None]
    pd.testing.assert_frame_equal(found, frame)


@pytest.mark.parametrize("numbers", [[2**64 - 1, None], [2**63, 1, None], [-(2**63), None], [2**53 + 1, None]])
def test_long_numbers_beside_missing_ones_are_not_rounded_in_pandas(store: Store, numbers: list[int | None]) -> None:
    column = pa.array(numbers, pa.uint64() if max(number or 0 for number in numbers) >= 2**63 else pa.int64())
    lazy = store.open(store.put(pa.table({"id": column, "x": [0.5] * len(numbers)})))
    found = lazy.to_pandas()
    assert [None if pd.isna(number) else int(number) for number in found["id"]] == numbers
    assert list(found.columns) == ["id", "x"]


def test_short_numbers_beside_missing_ones_are_floats_as_everywhere_in_pandas(store: Store) -> None:
    found = store.open(store.put(pa.table({"id": [2**53, None], "all": [2**60, 1]}))).to_pandas()
    assert found.dtypes.tolist() == [np.dtype("f8"), np.dtype("i8")]


class Length(int):
    """A number with a meaning."""


def test_a_cell_that_looks_the_same_but_is_not_is_refused_without_a_riddle(store: Store) -> None:
    frame = pd.DataFrame({"x": pd.Series([Length(1)], dtype=object)})
    with pytest.raises(Refused, match="column 'x' holds 1 in row 0, and a Length is not kept; convert it"):
        store.put(frame)


DAYS = pd.date_range("2024-01-01", periods=3)
LABELS = {
    "categories": pd.CategoricalIndex(["b", "a", "c"], ["c", "b", "a", "unused"], ordered=True, name="kind"),
    "categories of objects": pd.CategoricalIndex(pd.Index(["a", "b", "c"], dtype=object)),
    "categories of numbers": pd.CategoricalIndex([1.5, 2.5, -0.5]),
    "a missing category": pd.CategoricalIndex(["a", None, "b"]),
    "bins": pd.CategoricalIndex(pd.cut([1, 2, 3], [0, 1, 2, 3])),
    "intervals": pd.interval_range(0, 3, closed="both"),
    "intervals of time": pd.interval_range(pd.Timestamp("2024", tz="UTC"), periods=3),
    "times of a zone": DAYS.tz_localize("Europe/Berlin"),
    "times in seconds": pd.DatetimeIndex(["2024", None, "2025"]).tz_localize("UTC").as_unit("s"),
    "periods": pd.PeriodIndex(["2020-01", None, "2021-05"], freq="M"),
    "levels": pd.MultiIndex.from_arrays([pd.Categorical(["a", "b", "a"]), DAYS.to_period()], names=["x", "y"]),
    "times": DAYS,
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_columns_come_back_exactly(store: Store, kind: str) -> None:
    frame = pd.DataFrame(np.arange(6).reshape(2, 3), columns=LABELS[kind])
    found = store.get(store.put(frame))
    pd.testing.assert_frame_equal(found, frame, check_exact=True, check_freq=True)
    assert described(found.columns) == described(frame.columns)
    assert store.put(found).digest == store.put(frame).digest


def described(labels: Any) -> tuple[Any, ...]:
    """What makes the labels of columns what they are, beside the labels."""
    return (
        type(labels),
        labels.dtype,
        labels.names,
        getattr(labels, "freq", None),
        getattr(labels, "categories", None) is None,
    )
