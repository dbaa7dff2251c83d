"""Laws of putting samples together: every value is kept, padding is marked, and what does not go together is said."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import Refused
from smalti.loaders.collate import Padding, collate, columns_of

LISTS = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=40), min_size=1, max_size=6)


def batch_of(samples: list[dict[str, Any]], **padding: Any) -> dict[str, Any]:
    padder = Padding(**padding)
    return collate(columns_of(samples, range(len(samples)), padder.sequence_keys), padder)


@given(ids=LISTS, as_what=st.sampled_from([list, np.array, mx.array]))
def test_ids_are_padded_to_a_bucket_and_the_mask_says_which_are_real(ids: list[list[int]], as_what: Any) -> None:
    samples = [{"input_ids": as_what(one) if one else list(one)} for one in ids]
    batch = batch_of(samples)
    longest = max(map(len, ids))
    length = batch["input_ids"].shape[1]
    assert length == max(8, length) >= longest
    assert length & (length - 1) == 0, "a power of two"
    assert length == 8 or length < 2 * longest
    assert batch["input_ids"].shape == batch["attention_mask"].shape
    for row, mask, one in zip(batch["input_ids"], batch["attention_mask"], ids, strict=True):
        assert row[mask == 1].tolist() == one
        assert not row[mask == 0].any()


@given(ids=LISTS, most=st.integers(1, 50))
def test_truncation_keeps_the_beginning(ids: list[list[int]], most: int) -> None:
    samples = [{"input_ids": one, "attention_mask": [1] * len(one)} for one in ids]
    batch = batch_of(samples, padding="max_length", max_length=most, truncation=True)
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (len(ids), most)
    for row, mask, one in zip(batch["input_ids"], batch["attention_mask"], ids, strict=True):
        assert row[: int(mask.sum())].tolist() == one[:most]


def test_all_kinds_of_values_are_kept() -> None:
    samples = [
        {
            "input_ids": [1, 2, 3][: n + 1],
            "text": f"text {n}",
            "labels": n,
            "weight": 0.5 * n,
            "is_first": n == 0,
            "image": np.full((2, 2), n, np.uint8),
            "vector": mx.array([n, n + 1.0]),
            "metadata": {"id": n, "nested": {"a": [n]}},
            "note": None,
        }
        for n in range(3)
    ]
    batch = batch_of(samples)
    dtypes = {name: value.dtype.name for name, value in batch.items() if isinstance(value, np.ndarray)}
    assert dtypes == {
        "input_ids": "int32",
        "attention_mask": "int32",
        "labels": "int32",
        "weight": "float32",
        "is_first": "bool",
        "image": "uint8",
        "vector": "float32",
    }
    assert batch["text"] == ["text 0", "text 1", "text 2"]
    assert batch["metadata"] == [sample["metadata"] for sample in samples]
    assert batch["note"] == [None] * 3
    assert (batch["image"].shape, batch["vector"].tolist()) == ((3, 2, 2), [[0, 1], [1, 2], [2, 3]])


def test_numbers_have_the_dtypes_that_mlx_gives_them_and_those_of_numpy_keep_theirs() -> None:
    batch = batch_of([{"big": 2**40, "list": [1.5], "wide": np.float64(1), "long": np.array([1])}])
    assert {name: value.dtype.name for name, value in batch.items()} == {
        "big": "int64",
        "list": "float32",
        "wide": "float64",
        "long": "int64",
    }


def test_labels_of_tokens_are_filled_up_with_what_losses_leave_out() -> None:
    samples = [{"input_ids": [5, 6], "labels": [1, 2]}, {"input_ids": [7], "labels": [3]}]
    batch = batch_of(samples, bucket_lengths=(3,), sequence_keys=("input_ids", "labels"))
    assert batch["labels"].tolist() == [[1, 2, -100], [3, -100, -100]]
    assert batch["input_ids"].tolist() == [[5, 6, 0], [7, 0, 0]]


def test_sequences_of_vectors_are_padded_too() -> None:
    samples = [{"frames": np.ones((n, 3), np.float32)} for n in (2, 0, 4)]
    batch = batch_of(samples, sequence_keys=("frames",), pad_values={"frames": -1})
    assert batch["frames"].shape == (3, 8, 3)
    assert (batch["frames"] == 1).sum() == 6 * 3
    assert "attention_mask" not in batch


REFUSED = {
    "sample 1 has no 'labels', but sample 0 has": [{"x": 1, "labels": 1}, {"x": 2}],
    "sample 0 has no 'labels', but sample 1 has": [{"x": 1, "labels": None}, {"x": 2, "labels": 0}],
    r"'x' has the shape \(2,\) in sample 0 and \(3,\) in sample 1; .*sequence_keys": [{"x": [1, 2]}, {"x": [1, 2, 3]}],
    "'x' of sample 1 is a str, in other samples it is numbers": [{"x": 1}, {"x": "one"}],
    "'input_ids' .* differ in their length only": [{"input_ids": [[1, 2]]}, {"input_ids": [[1]]}],
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_does_not_go_together_is_refused(words: str) -> None:
    with pytest.raises(Refused, match=words):
        batch_of(REFUSED[words])


@pytest.mark.parametrize(
    ("padding", "words"),
    [
        ({"max_length": 3}, "length 4 is longer than max_length=3; set truncation=True"),
        ({"bucket_lengths": (2, 3)}, r"length 4 is longer than the last of bucket_lengths=\(2, 3\)"),
        ({"padding": "shortest"}, "the choices are 'longest' and 'max_length'"),
        ({"padding": "max_length"}, "needs a max_length"),
        ({"truncation": True}, "needs a max_length"),
        ({"bucket_lengths": (4, 2)}, "ascending"),
    ],
)
def test_a_sequence_that_is_too_long_and_settings_that_cannot_be_are_refused(padding: dict, words: str) -> None:
    with pytest.raises(Refused, match=words):
        batch_of([{"input_ids": [1, 2, 3, 4]}], **padding)


@given(lengths=st.lists(st.integers(0, 300), min_size=1, max_size=200))
def test_few_lengths_occur_however_many_there_are(lengths: list[int]) -> None:
    padding = Padding(bucket_lengths=(32, 64, 300))
    assert {padding.length_for(length) for length in lengths} <= {32, 64, 300}
    assert len({Padding(max_length=300).length_for(length) for length in lengths}) <= 7
