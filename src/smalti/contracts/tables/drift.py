"""What changed in a table's schema since the last version that was accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from smalti.contracts.tables.columns import family_of
from smalti.contracts.violation import Severity, Violation, shown

if TYPE_CHECKING:
    import pyarrow as pa


def drifts(now: pa.Schema, accepted: pa.Schema) -> Iterator[Violation]:
    """Yield columns that are gone or changed their type (errors), that are new or in another order (warnings).

    A wider or narrower type of the same family (int32 and int64) is a warning: nothing that reads it breaks. A
    column that had no values yet may become anything.
    """
    for name in accepted.names:
        if name not in now.names:
            found, wanted = "no such column", "it, as in the last accepted version"
            remedy = "add the column, or forget the earlier versions if it is meant to go"
            yield Violation("drift.gone", shown(name), found, wanted, remedy)
    for name in now.names:
        if name not in accepted.names:
            found, wanted = "a column that the last accepted version does not have", "the columns of that version"
            yield Violation("drift.new", shown(name), found, wanted, "check that it is meant to be there", "warning")
    shared = [name for name in now.names if name in accepted.names]
    for name in dict.fromkeys(shared):
        yield from _change_of_type(name, now, accepted)
    before = [name for name in accepted.names if name in now.names]
    if before != shared and sorted(before) == sorted(shared):
        found, wanted = f"the order {shown(', '.join(shared))}", shown(", ".join(before))
        remedy = "keep the order for whoever reads columns by number"
        yield Violation("drift.order", "the table", found, wanted, remedy, "warning")


def _change_of_type(name: str, now: pa.Schema, accepted: pa.Schema) -> Iterator[Violation]:
    kinds = [schema.field(schema.get_all_field_indices(name)[0]).type for schema in (now, accepted)]
    families = [family_of(kind) for kind in kinds]
    if kinds[0] == kinds[1] or "nothing" in families:
        return
    found, wanted = shown(f"type {kinds[0]}"), shown(f"{kinds[1]} as in the last accepted version")
    remedy = f"save the column as {shown(str(kinds[1]))}"
    severity: Severity = "warning" if families[0] == families[1] else "error"
    yield Violation("drift.type", shown(name), found, wanted, remedy, severity)
