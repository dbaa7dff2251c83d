"""Validation of one file of any kind: its card, what a reader finds in it, and its contract; the only path there is."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.codecs.scan import Scan
from smalti.contracts.builtin.product import ProductContract
from smalti.contracts.builtin.scan import SCAN, ScanContract
from smalti.contracts.result import ValidationResult
from smalti.contracts.table import TABLE, TableContract
from smalti.contracts.violation import Violation, broken, errors
from smalti.errors import ContractBroken, NotFound, SmaltiError
from smalti.formats import DEFAULT_LIMITS, Content, Limits, read_file
from smalti.scans.card import Card
from smalti.scans.conversion import conform
from smalti.scans.read import names_for, require_described
from smalti.scans.shipped import card_for

if TYPE_CHECKING:
    import pyarrow as pa

    from smalti.contracts.any_contract import AnyContract

Document = dict[str, Any]


def validate_request(request: Mapping[str, Any], _report: Callable[[Document], None]) -> Document:
    """Validate ``request["path"]`` against the contract ``request["contract"]``; None: the file's own.

    A table is also compared with ``request["accepted_schema"]``, base64 of an Arrow schema, where there is one.

    A function for :func:`smalti.ingest.sandbox.in_sandbox`.

    Returns:
        What :func:`document` does, or ``usage``: why there is no such contract.
    """
    from smalti.contracts.registry import contract_named

    path, name = Path(request["path"]), request["contract"]
    try:
        contract = contract_named(name) if name else None
    except SmaltiError as error:
        return {"usage": str(error)}
    try:
        return document(validate_file(path, contract, accepted_schema=request.get("accepted_schema")), path.name)
    except NotFound as error:
        return document(refused(error, contract.id if contract else ""), path.name)


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
        contract: by default that of the file's kind: scan for arrays, table for a table.
        card: what people say about the file; by default the card beside it, or the shipped one for its bytes.
        accepted_schema: base64 of the Arrow schema of an earlier table, to compare the columns with.

    Raises:
        NotFound: there is no such file.
        Unavailable: the machine cannot read it.
    """
    try:
        if isinstance(contract, ProductContract):
            from smalti.products import validate_product

            return validate_product(path, contract, limits)
        card = card or card_for(path)
        wanted = names_for(contract, card) if isinstance(contract, ScanContract) else None
        content = read_file(path, limits, wanted)
        require_described(path, card)
    except ContractBroken as error:
        return refused(error, contract.id if contract else "")
    return validate_content(content, contract, card, file_name=path.name, accepted_schema=accepted_schema)


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
        content: a reader's content, arrays by name, or a pyarrow Table.
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
        remedy = f"give a file for the contract {contract.id}, or name another contract"
        violation = Violation("file.form", "the file", found, wanted, remedy)
        return ValidationResult(None, (violation,), contract=contract.id)
    if isinstance(contract, ScanContract):
        return replace(conform(content, card, contract, file_name=file_name), contract=contract.id)
    if isinstance(contract, TableContract):
        return _result(content, contract.check(content, _schema(accepted_schema)), contract)
    return _result(content.arrays, contract.check(content.arrays), contract)


def refused(error: SmaltiError, contract: str = "") -> ValidationResult:
    """Return the result for a file that was refused before a contract was asked, or that ended its reader."""
    violations = tuple(v for v in getattr(error, "violations", ()) if isinstance(v, Violation))
    return ValidationResult(None, violations, contract=contract, refusal=str(error))


def document(result: ValidationResult, file_name: str) -> Document:
    """Return a result as JSON: ``contract``, ``accepted``, ``reason`` (sentences, or None), ``violations``, and
    ``shape``, ``conversions``, ``assumptions`` of what was accepted."""
    found = errors(result.violations)
    scan = result.value if isinstance(result.value, Scan) else None
    shape = getattr(scan.diffraction if scan else result.value, "shape", None)
    return {
        "contract": result.contract or None,
        "accepted": result.accepted,
        "reason": result.refusal or (str(broken(file_name, found)) if found else None),
        "violations": [{**asdict(violation), "message": str(violation)} for violation in result.violations],
        "shape": list(shape) if shape else None,
        "conversions": list(scan.metadata.conversions if scan else result.conversions),
        "assumptions": list(scan.metadata.assumptions()) if scan else [],
    }


def _result(value: Any, violations: tuple[Violation, ...], contract: AnyContract) -> ValidationResult:
    return ValidationResult(None if errors(violations) else value, violations, contract=contract.id)


def _schema(encoded: str | None) -> pa.Schema | None:
    if encoded is None:
        return None
    import pyarrow as pa

    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(encoded)))
