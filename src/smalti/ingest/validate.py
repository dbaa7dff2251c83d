"""Validation of one file of any kind: its card, what a reader finds in it, and its contract; the only path there is."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.codecs.scan import Scan
from smalti.contracts.builtin.product import ProductContract
from smalti.contracts.builtin.scan import SCAN, ScanContract
from smalti.contracts.result import ValidationResult
from smalti.contracts.tables.table import TABLE, TableContract
from smalti.contracts.violation import Violation, broken, errors, shown
from smalti.errors import ContractBroken, SmaltiError
from smalti.formats import DEFAULT_LIMITS, Content, Limits, TableContent, open_file
from smalti.ingest.kinds import FILE_KIND, TABLE_FORMS, Kind, Outline, claimed_kind, kinds, recognise_kind
from smalti.scans.card import Card, card_path
from smalti.scans.conversion import conform
from smalti.scans.missing import missing_for_product, missing_for_reconstruction
from smalti.scans.read import names_for, require_described
from smalti.scans.shipped import card_for

if TYPE_CHECKING:
    import pyarrow as pa

    from smalti.contracts.base import AnyContract

Document = dict[str, Any]
_LISTED, _ROWS = 200, 5


def validate_file(
    path: Path,
    contract: AnyContract | None = None,
    card: Card | None = None,
    *,
    accepted_schema: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> ValidationResult:
    """Read and validate a file; a broken contract is the result, not an exception.

    Args:
        contract: by default that of the file's kind, which its content and its card decide.
        card: what people say about the file; by default the card beside it, or the shipped one for its bytes.
        accepted_schema: base64 of the Arrow schema of an earlier table, to compare the columns with.

    Raises:
        NotFound: there is no such file.
        Unavailable: the machine cannot read it.
    """
    kind: Kind | None = None
    try:
        with open_file(path, limits) as file:
            card = card or card_for(path)
            require_described(path, card)
            table = file.read() if file.form in TABLE_FORMS else None
            if contract is None:
                names = frozenset(table.table.column_names) if isinstance(table, TableContent) else file.names()
                chosen = _kind_of(Outline(file.form, names), card, path)
                if isinstance(chosen, Violation):
                    return _of_no_kind(chosen, path)
                kind, contract = chosen, chosen.contract
            if contract is None:
                return _kept_as_bytes(kind, ())
            if isinstance(contract, ProductContract):
                from smalti.products import validate_product

                result = validate_product(path, contract, limits)
            else:
                wanted = names_for(contract, card) if isinstance(contract, ScanContract) else None
                content = table or file.read(wanted)
                result = validate_content(content, contract, card, file_name=path.name, accepted_schema=accepted_schema)
    except ContractBroken as error:
        return _refused_or_bytes(error, contract, kind, card, path)
    return replace(result, kind=kind.name if kind else "")


def validate_content(
    content: Any,
    contract: AnyContract | None = None,
    card: Card | None = None,
    *,
    file_name: str = "scan.npz",
    accepted_schema: str | None = None,
) -> ValidationResult:
    """Validate what a reader found in a file; pure.

    Args:
        content: what a reader returned, arrays by name, or a pyarrow Table.
        contract: by default scan for arrays, table for a table.
        card: what people say about the file, if anything.
        file_name: for messages, and for the name of a scan without a card.
        accepted_schema: base64 of the Arrow schema of an earlier table, to compare the columns with.
    """
    content = Content(content) if isinstance(content, Mapping) else content
    is_table = not isinstance(content, Content)
    contract = contract or (TABLE if is_table else SCAN)
    if is_table != isinstance(contract, TableContract):
        found, wanted = ("a table", "arrays") if is_table else ("arrays", "a table")
        kind, card_name = "table" if is_table else "scan", shown(card_path(Path(file_name)).name)
        remedy = (
            f"give a file for the contract {contract.id}; that this one is a {kind}, `kind: {kind}` in {card_name} says"
        )
        violation = Violation("file.form", "the file", found, wanted, remedy)
        return ValidationResult(None, (violation,), contract=contract.id)
    if isinstance(contract, ScanContract):
        return replace(conform(content, card, contract, file_name=file_name), contract=contract.id)
    if isinstance(contract, TableContract):
        read = content if isinstance(content, TableContent) else TableContent(content)
        violations = (
            *read.violations,
            *contract.check(read.table, _schema(accepted_schema)),
            *_columns_of_the_card(read.table, card),
        )
        return replace(_result(read.table, violations, contract), conversions=read.conversions)
    return _result(content.arrays, contract.check(content.arrays), contract)


def _columns_of_the_card(table: pa.Table, card: Card | None) -> Iterator[Violation]:
    for role, column in (("target", card.table.target), ("id", card.table.id)) if card else ():
        if column is not None and column not in table.column_names:
            found = f"no column {shown(repr(column))}, which the card calls the {role}"
            wanted = f"one of {', '.join(map(shown, table.column_names[:20]))}"
            yield Violation("column.missing", f"table.{role}", found, wanted, "correct the name in the card")


def refused(error: SmaltiError, contract: str = "", kind: str = "") -> ValidationResult:
    """Return the result for a file that was refused before a contract was asked, or that ended its reader."""
    violations = tuple(v for v in getattr(error, "violations", ()) if isinstance(v, Violation))
    return ValidationResult(None, violations, contract=contract, kind=kind, refusal=str(error))


def document(result: ValidationResult, file_name: str) -> Document:
    """Return a result as JSON: ``kind``, ``contract``, ``accepted``, ``reason`` (sentences, or None), ``violations``,
    ``skipped``, and ``shape``, ``contents``, ``conversions``, ``assumptions`` of what was accepted; of a scan also
    ``missing``: what a card must say before there can be a product, in a sentence.

    ``contents`` lists the ``columns`` of a table, the number of its ``rows`` and its ``first`` rows as text, or the
    ``arrays`` of a file of arrays; a long list is cut.
    """
    found = errors(result.violations)
    scan = result.value if isinstance(result.value, Scan) else None
    shape = getattr(scan.diffraction if scan else result.value, "shape", None)
    return {
        "kind": result.kind or None,
        "contract": result.contract or None,
        "accepted": result.accepted,
        "reason": result.refusal or (str(broken(file_name, found)) if found else None),
        "violations": [{**asdict(violation), "message": str(violation)} for violation in result.violations],
        "skipped": list(result.skipped[:_LISTED]),
        "shape": list(shape) if shape else None,
        "contents": _contents(result.value),
        "conversions": list(scan.metadata.conversions if scan else result.conversions),
        "assumptions": list(scan.metadata.assumptions()) if scan else [],
        "missing": _missing(scan, shown(card_path(Path(file_name)).name)) if scan else None,
    }


def _contents(value: Any) -> Document | None:
    if isinstance(value, Mapping):
        arrays = [(shown(name), array) for name, array in value.items() if hasattr(array, "dtype")]
        return {"arrays": [{"name": n, "dtype": str(a.dtype), "shape": list(a.shape)} for n, a in arrays[:_LISTED]]}
    if hasattr(value, "schema") and hasattr(value, "to_pylist"):
        few = value.select(range(min(_LISTED, value.num_columns)))
        columns = [{"name": shown(field.name), "type": str(field.type)} for field in few.schema]
        first = [
            {shown(name): shown(str(cell)) for name, cell in row.items()} for row in few.slice(0, _ROWS).to_pylist()
        ]
        return {"columns": columns, "rows": value.num_rows, "first": first}
    return None


def _kind_of(outline: Outline, card: Card | None, path: Path) -> Kind | Violation:
    return recognise_kind(outline, card.kind if card else None, kinds(), shown(card_path(path).name))


def _refused_or_bytes(
    error: ContractBroken, contract: AnyContract | None, kind: Kind | None, card: Card | None, path: Path
) -> ValidationResult:
    """Return the refusal, or, of a file that claims no format and for which no contract was named, its bytes."""
    violations = [v for v in error.violations if isinstance(v, Violation)]
    if contract is None and [v.code for v in violations] in (["file.unknown"], ["file.format"]):
        stated = (card := card or card_for(path)) and card.kind
        chosen = _kind_of(Outline(None), card, path)
        if isinstance(chosen, Kind) and chosen.contract is None and (stated or violations[0].code == "file.unknown"):
            return _kept_as_bytes(chosen, () if stated else violations)
    kind = kind or claimed_kind(path.name)
    return refused(error, contract.id if contract else kind.contract_id, kind.name)


def _of_no_kind(violation: Violation, path: Path) -> ValidationResult:
    kind = claimed_kind(path.name)
    return ValidationResult(None, (violation,), contract=kind.contract_id, kind=kind.name)


def _kept_as_bytes(kind: Kind | None, unknown: Sequence[Violation]) -> ValidationResult:
    """Accept a file as bytes; where no card asked for that, the warnings say what was not recognised."""
    kept = kind or FILE_KIND
    warnings = tuple(
        replace(v, severity="warning", remedy=f"it is kept as bytes; to have it read, {v.remedy}") for v in unknown
    )
    return ValidationResult(b"", warnings, contract=kept.contract_id, kind=kept.name)


def _result(value: Any, violations: tuple[Violation, ...], contract: AnyContract) -> ValidationResult:
    return ValidationResult(None if errors(violations) else value, violations, contract=contract.id)


def _schema(encoded: str | None) -> pa.Schema | None:
    if encoded is None:
        return None
    import pyarrow as pa

    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(encoded)))


def _missing(scan: Scan, card: str) -> str | None:
    return missing_for_reconstruction(scan, card) or missing_for_product(scan, card)
