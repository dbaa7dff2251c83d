"""Tables and rows to text without a template written by hand, the same for test rows as for training rows."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
from pydantic import ValidationError

from smalti.errors import NotFound, Refused
from smalti.templates.base_template import ClauseTemplate, texts_of
from smalti.templates.clauses import Clause
from smalti.templates.inputs import require_text, row_of, table_of
from smalti.templates.labels import labels_of
from smalti.templates.learned import Learned, built_in, learned_of_schema, learned_of_template
from smalti.templates.targets import is_known_target

if TYPE_CHECKING:
    from smalti.templates.inputs import RowLike, TableLike


class TabularTextConverter:
    """Rows of a table as texts such as ``sex female, class 3, age 22 years``.

    A table is a pandas DataFrame, a pyarrow Table or a dict of columns; a row is a pandas Series or a dict. The texts
    do not depend on the form. What was learned from training rows is plain JSON::

        converter = TabularTextConverter().fit(train, target="SalePrice")
        config = converter.to_config()
        texts = TabularTextConverter.from_config(config).transform(test)

    Args:
        template: the name of a built-in template. None, each column is a clause, labelled with the words of its name;
            ids and columns of one value are left out, and so are missing values in columns where most are missing;
            elsewhere a missing value is ``unknown``.

    Raises:
        NotFound: there is no such template.
    """

    def __init__(self, template: str | None = None) -> None:
        self._template = built_in(template) if template is not None else None
        self._learned: Learned | None = None

    def fit(self, data: TableLike, target: str | None = None) -> Self:
        """Learn from training rows which columns are written and how; return the converter.

        Args:
            data: the training rows.
            target: the column to be predicted, which is not written. None, there is none in the table; a column that
                has the name of one is said in a warning.

        Raises:
            NotFound: there is no column ``target``.
            Refused: a column that the template asks for is not there, a column mixes types or holds what has no text,
                or the template writes the target.
        """
        table = table_of(data)
        self._learned, warning = self._learn(table, target)
        _say(warning)
        return self

    def transform(self, data: TableLike) -> list[str]:
        """Return one text for each row.

        Columns that were not there when fitted are left out, and categories not seen then are written as they are;
        both are said in a warning.

        Raises:
            Refused: the converter is not fitted, a column is not there, or it holds another kind of value than when
                fitted.
        """
        learned, table = self._fitted("transform(data)"), table_of(data)
        texts = learned.texts(table)
        _say(learned.new_columns(table))
        _say(learned.new_categories(table))
        return texts

    def fit_transform(self, data: TableLike, target: str | None = None) -> list[str]:
        """Learn from the rows and return one text for each of them; raises and warns as ``fit``."""
        table = table_of(data)
        self._learned, warning = self._learn(table, target)
        _say(warning)
        return self._learned.texts(table)

    def convert_row(self, row: RowLike) -> str:
        """Return the text of one row; of many rows, ``transform`` is a thousand times faster.

        A converter that is not fitted writes every value of the row, ids and a target too, because one row does not
        tell what they are; a column that has the name of a target is said in a warning. With a template it writes
        what that asks for.

        Raises:
            Refused: a value has no text, or a column that the template asks for is not there; of a fitted converter, as
                ``transform``.
        """
        table = row_of(row)
        if self._learned is not None:
            text = self._learned.texts(table)[0]
            _say(self._learned.new_columns(table))
            return text
        if self._template is not None:
            return texts_of(self._template, table)[0]
        _say(_warning_of_targets(table.column_names, "fit(data, target=...) first"))
        require_text(table, table.column_names)
        labels = labels_of(table.column_names)
        clauses = [Clause(label.words, name, label.unit) for name, label in labels.items()]
        return texts_of(ClauseTemplate("of one row", tuple(clauses)), table)[0]

    def to_config(self) -> dict[str, Any]:
        """Return what was learned, as plain JSON; raises Refused where nothing was."""
        return self._fitted("to_config()").model_dump(mode="json")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return the converter whose ``to_config`` gave this.

        Raises:
            Refused: it is no such document, or of another format.
            NotFound: it names a template that is not built in.
        """
        try:
            learned = Learned.model_validate(config)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the document"
            raise Refused(
                f"this is no config of a converter: {place}: {first['msg']}; give what to_config() gave"
            ) from error
        learned.made_template()
        converter = cls(learned.template)
        converter._learned = learned
        return converter

    def _learn(self, table: pa.Table, target: str | None) -> tuple[Learned, str]:
        names = table.column_names
        if target is not None and target not in names:
            raise NotFound(f"there is no column {target!r} to be the target; there are {', '.join(names)}")
        if self._template is not None:
            return learned_of_template(self._template, table, target), ""
        warning = _warning_of_targets(names, "fit(data, target=...)") if target is None else ""
        return learned_of_schema(table, target), warning

    def _fitted(self, wanted: str) -> Learned:
        if self._learned is None:
            raise Refused(f"the converter has learned nothing yet; call fit(data) before {wanted}")
        return self._learned


def _warning_of_targets(names: list[str], remedy: str) -> str:
    known = [name for name in names if is_known_target(name)]
    if not known:
        return ""
    return (
        f"column {known[0]!r} has the name of a target and is written in the texts, which then tell what is to be "
        f"predicted; if it is the target, call {remedy}"
    )


def _say(warning: str) -> None:
    if warning:
        warnings.warn(warning, stacklevel=3)
