"""What a dataset's spec derives from the numbers it is given."""

from __future__ import annotations

import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.datasets import CompetitionMetadata, CompetitionType, DatasetSpec
from smalti.errors import Refused


def spec(samples: int = 10_000, kind: Any = CompetitionType.UNKNOWN, **fields: Any) -> DatasetSpec:
    return DatasetSpec("x", Path("data/x"), kind, samples, 5, **fields)


def test_there_are_ten_types_of_competition() -> None:
    assert [kind.value for kind in CompetitionType] == [
        "binary_classification",
        "multiclass_classification",
        "multilabel_classification",
        "regression",
        "ordinal_regression",
        "time_series",
        "ranking",
        "structured_prediction",
        "generative",
        "unknown",
    ]


def test_a_spec_has_every_documented_field_and_default() -> None:
    documented = """competition_name dataset_path competition_type num_samples num_features target_column text_columns
        categorical_columns numerical_columns num_classes class_distribution is_balanced recommended_batch_size
        recommended_max_length use_attention_mask enable_caching use_unified_memory prefetch_size num_workers
        text_template tokenizer_backend"""
    assert [field.name for field in fields(DatasetSpec)] == documented.split()
    plain = spec()
    assert (plain.recommended_batch_size, plain.recommended_max_length) == (32, 512)
    assert (plain.prefetch_size, plain.num_workers) == (4, 4)
    assert plain.use_attention_mask
    assert plain.enable_caching
    assert plain.use_unified_memory


@pytest.mark.parametrize(
    ("samples", "prefetch"), [(0, 2), (4_999, 2), (5_000, 4), (100_000, 4), (100_001, 8), (10**7, 8)]
)
def test_the_number_of_samples_decides_how_much_is_prefetched(samples: int, prefetch: int) -> None:
    assert spec(samples).prefetch_size == prefetch
    assert spec(samples, prefetch_size=3).prefetch_size == 3


@given(st.integers(0, 10**7), st.integers(1, 1024))
def test_a_batch_is_at_most_64_of_many_samples_and_at_least_16_of_few(samples: int, batch: int) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = spec(samples, recommended_batch_size=batch).recommended_batch_size
    expected = min(batch, 64) if samples > 100_000 else max(batch, 16) if samples < 5_000 else batch
    assert found == expected
    assert bool(said) == (found != batch), "a number that was given is never changed in silence"


def test_two_classes_are_derived_and_another_number_is_warned_about() -> None:
    assert spec(kind=CompetitionType.BINARY_CLASSIFICATION).num_classes == 2
    assert spec(kind=CompetitionType.REGRESSION).num_classes == 1
    assert spec(kind=CompetitionType.RANKING).num_classes is None
    with pytest.warns(UserWarning, match="x: num_classes is 3, where binary classification has 2"):
        assert spec(kind=CompetitionType.BINARY_CLASSIFICATION, num_classes=3).num_classes == 3


def test_balance_follows_from_the_distribution_and_is_unknown_without_one() -> None:
    assert spec().is_balanced is None
    assert spec(class_distribution={"0": 549, "1": 342}).is_balanced is True
    assert spec(class_distribution={"0": 900, "1": 100}).is_balanced is False
    assert spec(class_distribution={"0": 900, "1": 100}, is_balanced=True).is_balanced is True


def test_text_will_do_for_a_path_and_a_type() -> None:
    given = DatasetSpec("x", "data/x", "regression", 1, 1)  # type: ignore[arg-type]
    assert (given.dataset_path, given.competition_type) == (Path("data/x"), CompetitionType.REGRESSION)


@pytest.mark.parametrize("made", [lambda: spec(kind="guessing"), lambda: CompetitionMetadata("x", "guessing")])
def test_an_unknown_type_is_refused_with_the_ten(made: Any) -> None:
    with pytest.raises(Refused, match=r"guessing is no type of competition; the types are binary_.*, unknown"):
        made()


@pytest.mark.parametrize("wrong", [{"num_samples": -1}, {"recommended_batch_size": 0}, {"recommended_max_length": 1}])
def test_an_impossible_count_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(Refused, match=f"{next(iter(wrong))} of x is"):
        replace(spec(), **wrong)
