"""The benchmark of templates compares what writes the same texts."""

from __future__ import annotations

from benchmarks.data.templates import looped, measure, passengers
from smalti.templates import TextTemplateEngine


def test_the_loop_writes_the_texts_of_the_template() -> None:
    table = passengers(3000)
    assert looped(table) == TextTemplateEngine().convert_data(table, "titanic_v1")


def test_a_measurement_is_lines_of_which_only_a_million_rows_are_judged() -> None:
    lines = measure(n_rows=200, rounds=1).lines()
    assert "of 200 rows" in lines[0].measure
    assert "times those of an f-string for each row" in lines[0].measured
    assert [line.reached for line in lines] == [None] * 4
