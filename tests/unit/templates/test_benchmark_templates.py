"""The benchmark of templates compares what writes the same texts."""

from __future__ import annotations

from benchmarks.data.templates import looped, measure, passengers
from smalti.templates import TextTemplateEngine


def test_the_loop_writes_the_texts_of_the_template() -> None:
    table = passengers(3000)
    assert looped(table) == TextTemplateEngine().convert_data(table, "titanic_v1")


def test_a_measurement_is_rows_of_a_table() -> None:
    lines = measure(n_rows=200, rounds=1).lines()
    assert [line.count("|") for line in lines] == [4] * 5
    assert lines[3].endswith("| 1 |")
