"""A text is clauses in a stable order, each its label, value and unit, and nothing in the data can forge one."""

from __future__ import annotations

import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import Refused
from smalti.templates import Clause, ClauseTemplate, DerivedClause, TextTemplateEngine


def texts(columns: dict[str, list[object]], *clauses: Clause | DerivedClause) -> list[str]:
    return TextTemplateEngine([ClauseTemplate("t_v1", clauses)]).convert_data(columns, "t_v1")


def test_a_clause_is_label_value_unit() -> None:
    clauses = (Clause("sex", "Sex"), Clause("age", "Age", "years"), Clause("class", "Pclass"))
    columns: dict[str, list[object]] = {"Pclass": [3, 1], "Age": [22.0, 0.75], "Sex": ["female", "male"]}
    assert texts(columns, *clauses) == ["sex female, age 22 years, class 3", "sex male, age 0.75 years, class 1"]


def test_what_is_missing_is_said_or_left_out_as_the_clause_wants() -> None:
    clauses = (Clause("age", "a", "years"), Clause("deck", "d", missing=None), Clause("pool", "p", missing="none"))
    columns: dict[str, list[object]] = {"a": [None, 2], "d": [None, "C"], "p": ["", "in ground"]}
    assert texts(columns, *clauses) == ["age unknown, pool none", "age 2 years, deck C, pool in ground"]


def test_a_row_of_which_all_is_left_out_is_an_empty_text() -> None:
    deck, cabin = Clause("deck", "d", missing=None), Clause("cabin", "c", missing=None)
    assert texts({"d": [None, "C", None]}, deck) == ["", "deck C", ""]
    assert texts({"d": [None, "C", None], "c": [None, None, 3]}, deck, cabin) == ["", "deck C", "cabin 3"]


def test_codes_are_spelt_out_and_others_written_as_they_are() -> None:
    clause = Clause("port", "p", words={"S": "Southampton", "1": "one"})
    assert texts({"p": ["S", "X", None]}, clause) == ["port Southampton", "port X", "port unknown"]
    assert texts({"p": [1.0, 2.0]}, clause) == ["port one", "port 2"]


def test_a_fact_is_derived_from_several_columns() -> None:
    family = DerivedClause("family", ("s", "p"), pc.add, unit="people")
    assert texts({"s": [1, None], "p": [2, 2]}, family) == ["family 3 people", "family unknown"]


@given(
    st.lists(st.tuples(st.text() | st.none(), st.text() | st.none(), st.floats() | st.none()), min_size=1, max_size=5)
)
def test_splitting_a_text_at_its_commas_gives_one_clause_for_each_column(rows: list[tuple[object, ...]]) -> None:
    names = ("name", "note", "size")
    columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    for text in texts(columns, *(Clause(name, name) for name in names)):
        assert [part.split(" ")[0] for part in text.split(", ")] == list(names)


@given(st.lists(st.text(), min_size=1))
def test_what_a_template_makes_of_a_row_does_not_depend_on_its_neighbours(words: list[str]) -> None:
    many = words * 600  # enough for values that repeat to be written once
    assert texts({"w": list(many)}, Clause("w", "w")) == texts({"w": list(words)}, Clause("w", "w")) * 600


def test_values_that_hold_template_syntax_come_out_as_they_went_in() -> None:
    odd = ["{0}", "{column}", "%s %d", "[CLS] a [SEP]", "$x", "\\1", "a{b}c", "<script>"]
    assert texts({"x": list(odd)}, Clause("x", "x")) == [f"x {each}" for each in odd]


@pytest.mark.parametrize("words", ["age, years", "line\nbreak", "bell\x07"])
def test_words_that_would_break_a_clause_are_refused(words: str) -> None:
    with pytest.raises(Refused, match="cannot be in a clause; write it on one line"):
        Clause(words, "x")
    with pytest.raises(Refused, match="cannot be in a clause"):
        Clause("x", "x", missing=words)
    with pytest.raises(Refused, match="cannot be in a clause"):
        Clause("x", "x", words={"1": words})
    with pytest.raises(Refused, match="cannot be in a clause"):
        DerivedClause("x", ("x",), pc.abs, unit=words)


@pytest.mark.parametrize("label", ["", " "])
def test_a_clause_without_a_label_is_refused(label: str) -> None:
    with pytest.raises(Refused, match="a clause has no label"):
        Clause(label, "x")


def test_two_clauses_of_one_label_are_refused() -> None:
    with pytest.raises(Refused, match="several clauses labelled 'a'; label each differently"):
        ClauseTemplate("t_v1", (Clause("a", "x"), Clause("a", "y")))


def test_a_template_asks_for_each_of_its_columns_once() -> None:
    template = ClauseTemplate("t_v1", (Clause("a", "x"), DerivedClause("b", ("y", "x"), pc.add), Clause("c", "y")))
    assert template.columns == ("x", "y")


def test_a_template_without_clauses_is_refused() -> None:
    with pytest.raises(Refused, match="'t_v1' has no clauses; give it one for each column"):
        ClauseTemplate("t_v1", ())
