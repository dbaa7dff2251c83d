"""Rows of tables as text: templates, converters, and what the columns of a table hold.

    engine = TextTemplateEngine()
    texts = engine.convert_data(data=passengers, template_name="titanic_v1")

    converter = TabularTextConverter().fit(train, target="SalePrice")
    texts = converter.transform(test)

A text is a row of clauses, each a label, a value and perhaps a unit: ``sex female, class 3, age 22 years``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.lazy_names import lazy_names

if TYPE_CHECKING:
    from smalti.templates.base_template import ClauseTemplate as ClauseTemplate
    from smalti.templates.base_template import TextTemplate as TextTemplate
    from smalti.templates.clauses import Clause as Clause
    from smalti.templates.clauses import DerivedClause as DerivedClause
    from smalti.templates.columns import ColumnDescription as ColumnDescription
    from smalti.templates.columns import TableDescription as TableDescription
    from smalti.templates.columns import describe_columns as describe_columns
    from smalti.templates.converters import TabularTextConverter as TabularTextConverter
    from smalti.templates.engine import TextTemplateEngine as TextTemplateEngine
    from smalti.templates.targets import TargetCandidate as TargetCandidate

# Where each name lives; imported when first used, because all of them need pyarrow.
_HOME = {
    "Clause": "smalti.templates.clauses",
    "ClauseTemplate": "smalti.templates.base_template",
    "ColumnDescription": "smalti.templates.columns",
    "DerivedClause": "smalti.templates.clauses",
    "TableDescription": "smalti.templates.columns",
    "TabularTextConverter": "smalti.templates.converters",
    "TargetCandidate": "smalti.templates.targets",
    "TextTemplate": "smalti.templates.base_template",
    "TextTemplateEngine": "smalti.templates.engine",
    "describe_columns": "smalti.templates.columns",
}

__getattr__ = lazy_names(__name__, _HOME)
