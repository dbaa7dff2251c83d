"""Templates are found by name, and a name never comes to mean another template."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from smalti.errors import NotFound, Refused
from smalti.templates import Clause, ClauseTemplate, TextTemplateEngine

COLOURS = ClauseTemplate("colours_v1", (Clause("colour", "c"),))


@dataclass(frozen=True)
class Shouted:
    """A template that is written as a class of one's own."""

    name: str = "shouted_v1"
    columns: tuple[str, ...] = ("word",)
    lost: int = 0

    def texts(self, columns: Mapping[str, pa.Array]) -> pa.Array:
        return pc.utf8_upper(columns["word"]).slice(self.lost)


def test_a_registered_template_converts_tables_and_rows() -> None:
    engine = TextTemplateEngine()
    engine.register_template(COLOURS)
    table = pd.DataFrame({"c": ["red", None], "other": [1, 2]})
    assert engine.convert_data(data=table, template_name="colours_v1") == ["colour red", "colour unknown"]
    assert engine.convert_dataframe(table, "colours_v1") == ["colour red", "colour unknown"]
    assert engine.convert_row(table.iloc[0], "colours_v1") == "colour red"


def test_the_built_in_templates_are_there_and_listed_by_name() -> None:
    engine = TextTemplateEngine()
    engine.register_template(COLOURS)
    assert engine.list_templates() == ["colours_v1", "house_prices_v1", "titanic_v1"]


def test_what_one_engine_registers_another_does_not_know() -> None:
    TextTemplateEngine().register_template(COLOURS)
    with pytest.raises(NotFound, match="no template 'colours_v1'; there are house_prices_v1, titanic_v1"):
        TextTemplateEngine().convert_data({"c": ["red"]}, "colours_v1")


def test_a_name_is_not_given_to_another_template() -> None:
    engine = TextTemplateEngine([COLOURS])
    engine.register_template(ClauseTemplate("colours_v1", (Clause("colour", "c"),)))  # the same
    with pytest.raises(Refused, match=r"another template named 'colours_v1'.*give this one another name"):
        engine.register_template(ClauseTemplate("colours_v1", (Clause("hue", "c"),)))
    assert engine.convert_row({"c": "red"}, "colours_v1") == "colour red"


def test_a_template_may_be_any_object_that_has_the_interface() -> None:
    engine = TextTemplateEngine()
    engine.register_template(Shouted())
    assert engine.convert_data({"word": ["a", "b"]}, "shouted_v1") == ["A", "B"]


def test_what_is_no_template_is_refused() -> None:
    with pytest.raises(Refused, match="str is no template: it wants a name, columns and texts"):
        TextTemplateEngine().register_template("titanic_v1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("template", "words", "found"),
    [(Shouted(lost=1), ["a", "b"], "1 of which 0 are null"), (Shouted(), ["a", None], "2 of which 1 are null")],
)
def test_a_template_that_loses_a_row_is_refused(template: Shouted, words: list[str | None], found: str) -> None:
    with pytest.raises(Refused, match=f"'shouted_v1' made of 2 rows not as many texts, but {found}"):
        TextTemplateEngine([template]).convert_data({"word": words}, "shouted_v1")


def test_a_column_that_is_asked_for_and_absent_is_named() -> None:
    with pytest.raises(Refused, match="'colours_v1' asks for 'c', and the table has only C, d"):
        TextTemplateEngine([COLOURS]).convert_data({"C": ["red"], "d": [1]}, "colours_v1")
    with pytest.raises(Refused, match="'colours_v1' asks for 'c'"):
        TextTemplateEngine([COLOURS]).convert_row(pd.Series({"C": "red"}), "colours_v1")


def test_the_package_is_imported_without_what_it_needs_to_convert() -> None:
    program = "import sys, smalti.templates; print({'pandas', 'pyarrow', 'pydantic', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_name_of_the_package_is_where_it_says() -> None:
    import smalti.templates as package

    for name in package._HOME:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Engine'; it offers Clause,"):
        _ = package.Engine
