"""Columns are called by the words of their names, and units are whole words at their ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.templates import Clause
from smalti.templates.labels import UNITS, label_of, labels_of, words_of


@pytest.mark.parametrize(
    ("name", "words", "unit"),
    [
        ("age_years", "age", "years"),
        ("temp_degC", "temp", "degrees Celsius"),
        ("width_mm", "width", "mm"),
        ("petal length (cm)", "petal length", "cm"),
        ("mass [g]", "mass", "g"),
        ("share (%)", "share", "percent"),
        ("speed (km/h)", "speed", "km/h"),
        ("Weight-kg", "weight", "kg"),
        ("photon_energy_keV", "photon energy", "keV"),
        ("PassengerId", "passenger id", ""),
        ("SibSp", "sib sp", ""),
        ("1stFlrSF", "1st flr sf", ""),
        ("years", "years", ""),
        ("mm", "mm", ""),
        ("temp_min", "temp min", ""),
        ("group_m", "group m", ""),
        ("comm", "comm", ""),
        ("farms", "farms", ""),
        ("program", "program", ""),
        ("yearsago", "yearsago", ""),
        ("size (large)", "size large", ""),
        ("Größe_cm", "größe", "cm"),
        ("price, total", "price total", ""),
    ],
)
def test_the_words_and_the_unit_of_a_name(name: str, words: str, unit: str) -> None:
    assert label_of(name) == (words, unit)


@given(st.sampled_from(sorted(UNITS)), st.text(st.characters(whitelist_categories=("Ll",)), min_size=1))
def test_a_unit_inside_a_word_is_none(unit: str, letters: str) -> None:
    assert label_of(f"size_{letters}{unit}").unit in ("", UNITS.get(f"{letters}{unit}"))
    assert label_of(f"size_{unit}{letters}").unit in ("", UNITS.get(f"{unit}{letters}"))


@given(st.lists(st.text(), unique=True, max_size=8))
def test_labels_differ_and_each_can_head_a_clause(names: list[str]) -> None:
    labels = labels_of(names)
    assert list(labels) == names
    assert len({label.words for label in labels.values()}) == len(names)
    for name, label in labels.items():
        assert Clause(label.words, name, label.unit).label


def test_the_unit_tells_names_apart_that_differ_in_nothing_else() -> None:
    assert labels_of(["age_years", "age_months", "width_mm"]) == {
        "age_years": ("age years", ""),
        "age_months": ("age months", ""),
        "width_mm": ("width", "mm"),
    }


def test_names_of_the_same_words_are_numbered() -> None:
    labels = labels_of(["a b", "a_b", "a b 2", "A-B"])
    assert [label.words for label in labels.values()] == ["a b", "a b 3", "a b 2", "a b 4"]


@pytest.mark.parametrize("names", [("passenger_id", "PassengerId", "passengerID", "passenger id", "PASSENGER_ID")])
def test_a_name_has_the_same_words_in_every_way_of_writing_it(names: tuple[str, ...]) -> None:
    assert {tuple(words_of(name)) for name in names} == {("passenger", "id")}
