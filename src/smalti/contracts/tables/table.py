"""A contract on tables, as data: presence and types are validated on the Arrow schema, values by pandera."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import model_validator

from smalti.contracts import markdown
from smalti.contracts.base import AnyContract
from smalti.contracts.tables.columns import ColumnSpec
from smalti.contracts.tables.drift import drifts
from smalti.contracts.tables.failures import failures_in, reason_of
from smalti.contracts.tables.pandera_import import import_pandera
from smalti.contracts.violation import Severity, Violation, shown
from smalti.errors import Refused

if TYPE_CHECKING:  # all three take long to import: only those who validate a table pay
    import pandas as pd
    import pandera.pandas as pandera
    import pyarrow as pa

_NAMES_SHOWN = 12


class TableContract(AnyContract):
    """Columns, how many rows, and what becomes of columns nobody asked for.

    A contract derived from this one may override ``pandera_schema`` and add any check of pandera's to it.

    Attributes:
        columns: what each column must be.
        minimum_rows, maximum_rows: how many rows there may be.
        rows: how a breach of the number of rows is taken.
        others: how columns that are not among ``columns`` are taken.
    """

    columns: tuple[ColumnSpec, ...] = ()
    minimum_rows: int = 1
    maximum_rows: int | None = None
    rows: Severity = "error"
    others: Literal["error", "warning", "welcome"] = "warning"

    def extended(self, name: str, version: int, summary: str, *, columns: tuple[ColumnSpec, ...]) -> Self:
        """Return a contract that asks for these columns too; one with a key that is here already replaces it."""
        every = tuple({spec.key: spec for spec in (*self.columns, *columns)}.values())
        return type(self)(**{**dict(self), "name": name, "version": version, "summary": summary, "columns": every})

    def pandera_schema(self) -> pandera.DataFrameSchema:
        """Return the rules on values as a pandera schema of a DataFrame under the contract's own column names."""
        columns = {spec.key: spec.for_pandera() for spec in self.columns}
        schema: pandera.DataFrameSchema = import_pandera().DataFrameSchema(columns, name=self.id)
        return schema

    def check(self, value: Any, accepted: pa.Schema | None = None) -> tuple[Violation, ...]:
        """Return every breach at once; empty when the contract is kept. Nothing is read or changed.

        Args:
            value: a pyarrow Table or a pandas DataFrame.
            accepted: the schema of the last version that was accepted; what changed since is reported too.
        """
        table = arrow_table(value)
        named, violations = self._resolve(table)
        typed = list(self._type_breaches(named))
        unsound = {violation.place for violation in typed if violation.severity == "error"}
        changed = drifts(table.schema, accepted) if accepted is not None else ()
        return (*self._row_breaches(table), *violations, *typed, *self._value_breaches(named, unsound), *changed)

    def _row_breaches(self, table: pa.Table) -> Iterator[Violation]:
        least, most, count = self.minimum_rows, self.maximum_rows, table.num_rows
        if count < least or (most is not None and count > most):
            wanted = f"{least}" if least == most else f"{least} or more" if most is None else f"{least} to {most}"
            remedy = "save the whole table" if count < least else "save each row once"
            yield Violation("table.rows", "the table", f"{count} rows", f"{wanted} rows", remedy, self.rows)

    def _resolve(self, table: pa.Table) -> tuple[pa.Table, tuple[Violation, ...]]:
        """Return the columns asked for under the contract's own names, and what is wrong with the names."""
        names = table.column_names
        violations = list(_nameless(names))
        resolved: dict[str, Any] = {}
        for spec in self.columns:
            present = [name for name in (spec.key, *spec.aliases) for there in names if name == there]
            if len(present) > 1:
                found = f"the columns {_listed(present)}"
                violations.append(Violation("column.duplicate", spec.key, found, "one of them", "remove the others"))
            elif present:
                resolved[spec.key] = table.column(present[0])
            elif spec.required:
                remedy = "add the column, or rename the one that holds it"
                wanted = " or ".join((spec.key, *spec.aliases))
                violations.append(Violation("column.missing", spec.key, _columns(names), wanted, remedy))
        asked = {name for spec in self.columns for name in (spec.key, *spec.aliases)}
        others = [name for name in names if name not in asked]
        if others and self.others != "welcome":
            wanted, remedy = f"only {', '.join(spec.key for spec in self.columns)}", "nothing reads the others"
            violations.append(Violation("column.unknown", "the table", _columns(others), wanted, remedy, self.others))
        import pyarrow as pa

        return pa.table(resolved), tuple(violations)

    def _type_breaches(self, table: pa.Table) -> Iterator[Violation]:
        breaches = (spec.type_breach(table.column(spec.key)) for spec in self._present(table))
        return (breach for breach in breaches if breach)

    def _present(self, table: pa.Table) -> Iterator[ColumnSpec]:
        return (spec for spec in self.columns if spec.key in table.column_names)

    def _value_breaches(self, table: pa.Table, unsound: set[str]) -> Iterator[Violation]:
        """Have pandera validate the columns that are there and of the right type."""
        import_pandera()
        from pandera.errors import SchemaErrors

        sound = [spec for spec in self._present(table) if spec.key not in unsound]
        schema = self.pandera_schema()
        gone = [name for name in schema.columns if name not in {spec.key for spec in sound}]
        schema = schema.remove_columns(gone) if gone else schema
        try:
            schema.validate(_frame(table, sound), lazy=True, inplace=True)
        except SchemaErrors as failed:
            for error in failed.schema_errors:
                if not (gone and reason_of(error) == "CHECK_ERROR"):  # a rule across columns, one of them gone
                    yield self._violation(error, table.num_rows)

    def _violation(self, error: pandera.errors.SchemaError, rows: int) -> Violation:
        failures = failures_in(error, rows)
        for spec in self.columns:
            if spec.key == getattr(error.schema, "name", None):
                return spec.breach(failures)
        found, wanted, index = failures.found, failures.wanted, failures.index
        return Violation("table.rule", "the table", found, wanted, "correct those rows", index=index)

    def describe(self) -> str:
        """Return the contract as a Markdown page."""
        columns = [
            (
                f"`{spec.key}`",
                spec.type,
                spec.unit,
                "required" if spec.required else "optional",
                " ".join(part for part in (spec.meaning, spec.asks(), _also(spec)) if part),
            )
            for spec in self.columns
        ]
        most = f" and at most {self.maximum_rows}" if self.maximum_rows is not None else ""
        only = " (Only a warning.)" if self.rows == "warning" else ""
        others = {"error": "refused", "warning": "a warning", "welcome": "welcome"}[self.others]
        return markdown.page(
            f"Contract {self.id}",
            self.summary,
            markdown.table(("column", "type", "unit", "", "meaning"), columns),
            markdown.bullets(
                (f"At least {self.minimum_rows} rows{most}.{only}", f"Columns that are not listed are {others}.")
            ),
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        keys = [name for spec in self.columns for name in (spec.key, *spec.aliases)]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"each name once, and {', '.join(twice)} is there twice")
        return self


def arrow_table(value: Any) -> pa.Table:
    """Return a table as Arrow holds it; nothing is copied where Arrow can look at what is there.

    Raises:
        Refused: it is no table, or a column of a DataFrame holds values of several types.
    """
    import pandas as pd
    import pyarrow as pa

    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pd.DataFrame):
        try:
            return pa.Table.from_pandas(value, preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError) as error:
            said = shown(" ".join(str(error).split()))
            raise Refused(f"the table cannot be held by Arrow: {said}; give each column values of one type.") from error
    raise Refused(f"a {type(value).__name__} is no table; give a pyarrow Table or a pandas DataFrame.")


def _frame(table: pa.Table, specs: list[ColumnSpec]) -> pd.DataFrame:
    """Return columns for pandera, on Arrow's own memory, so that whole numbers with gaps stay whole."""
    import pandas as pd
    import pyarrow as pa

    if not specs:
        return pd.DataFrame(index=range(table.num_rows))
    plain = {spec.key: spec.as_validated(table.column(spec.key)) for spec in specs}
    frame: pd.DataFrame = pa.table(plain).to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def _nameless(names: list[str]) -> Iterator[Violation]:
    for index, name in enumerate(names):
        if not name.strip():
            remedy = "give every column a name"
            yield Violation("column.nameless", "the table", f"column {index} without a name", "a name", remedy)
    for name in sorted({name for name in names if names.count(name) > 1}):
        found = f"{names.count(name)} columns called {shown(name)}"
        yield Violation("column.duplicate", shown(name), found, "each name once", "rename or remove the others")


def _also(spec: ColumnSpec) -> str:
    return f"Also known as {markdown.code(spec.aliases)}." if spec.aliases else ""


def _columns(names: list[str]) -> str:
    return f"the columns {_listed(names)}" if names else "no columns"


def _listed(names: Iterable[str]) -> str:
    some = [shown(name) for name in names]
    rest = f" and {len(some) - _NAMES_SHOWN} more" if len(some) > _NAMES_SHOWN else ""
    return f"{', '.join(some[:_NAMES_SHOWN])}{rest}"


TABLE = TableContract(
    name="table",
    version=1,
    summary="Any table: at least one row, and a name of its own for every column. Derive yours from it.",
    others="welcome",
)
