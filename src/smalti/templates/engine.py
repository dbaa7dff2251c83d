"""Templates by name, and tables and rows turned to text with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from smalti.errors import NotFound, Refused
from smalti.templates.base_template import TextTemplate, texts_of
from smalti.templates.builtin import BUILT_IN
from smalti.templates.inputs import row_of, table_of

if TYPE_CHECKING:
    from smalti.templates.inputs import RowLike, TableLike


class TextTemplateEngine:
    """Templates by name: the built-in ones, and those that are registered.

    A table is a pandas DataFrame, a pyarrow Table or a dict of columns; a row is a pandas Series or a dict. The texts
    do not depend on the form. Columns that a template does not ask for play no part.
    """

    def __init__(self, templates: Iterable[TextTemplate] = BUILT_IN) -> None:
        self._templates = {template.name: template for template in templates}

    def register_template(self, template: TextTemplate) -> None:
        """Add a template under its name.

        Raises:
            Refused: it is no template, or another one has that name.
        """
        if not isinstance(template, TextTemplate):
            raise Refused(
                f"{type(template).__name__} is no template: it wants a name, columns and texts(); "
                "make a smalti.templates.ClauseTemplate"
            )
        if self._templates.get(template.name, template) != template:
            raise Refused(
                f"there is another template named {template.name!r}, and what was made with it must stay what it is; "
                "give this one another name, as with the next version"
            )
        self._templates[template.name] = template

    def list_templates(self) -> list[str]:
        """Return the names of the templates, sorted."""
        return sorted(self._templates)

    def convert_data(self, data: TableLike, template_name: str) -> list[str]:
        """Return one text for each row of the table.

        Raises:
            NotFound: there is no such template.
            Refused: the table lacks a column that it asks for, or a column mixes types or holds what has no text.
        """
        template = self._named(template_name)
        return texts_of(template, table_of(data))

    def convert_dataframe(self, df: TableLike, template_name: str) -> list[str]:
        """Return one text for each row of the table: the same as ``convert_data``."""
        return self.convert_data(df, template_name)

    def convert_row(self, row: RowLike, template_name: str) -> str:
        """Return the text of one row; raises as ``convert_data``."""
        template = self._named(template_name)
        return texts_of(template, row_of(row))[0]

    def _named(self, name: str) -> TextTemplate:
        if name not in self._templates:
            raise NotFound(f"there is no template {name!r}; there are {', '.join(self.list_templates()) or 'none'}")
        return self._templates[name]
