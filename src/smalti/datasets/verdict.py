"""The verdict on one file: its card, what a reader finds in it, and the contract; made in the sandbox."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.contracts.conversion import Outcome, conform
from smalti.contracts.readers import read_file
from smalti.contracts.regular_file import sha256_of
from smalti.contracts.scan import SCAN, ScanContract
from smalti.contracts.table import TABLE, TableContract
from smalti.contracts.violation import Violation, broken, errors
from smalti.errors import ContractBroken, NotFound, SmaltiError

if TYPE_CHECKING:
    import pyarrow as pa

    from smalti.contracts.any_contract import AnyContract

Document = dict[str, Any]
_NOTHING: Document = {"shape": None, "conversions": [], "assumptions": []}


def judge(request: Mapping[str, Any], _report: Callable[[Document], None]) -> Document:
    """Judge ``request["path"]`` by the contract ``request["contract"]``; None: a scan for arrays, else a table.

    A table is also compared with ``request["accepted_schema"]``, base64 of an Arrow schema, where there is one.

    A function for :func:`smalti.contracts.sandbox.in_sandbox`.

    Returns:
        ``contract`` (its id, None where the file was refused before one was chosen), ``accepted``, ``reason``
        (sentences, or None), ``violations``, and ``shape``, ``conversions``, ``assumptions`` of what was accepted;
        or ``usage``: why there is no such contract.
    """
    path, name = Path(request["path"]), request["contract"]
    try:
        contract = _named(name) if name else None
    except SmaltiError as error:
        return {"usage": str(error)}
    try:
        return _judged(path, contract, request.get("accepted_schema"))
    except (ContractBroken, NotFound) as error:
        return rejection(contract.id if contract else None, error)


def rejection(contract: str | None, error: SmaltiError) -> Document:
    """Return the verdict on a file that was refused before a contract was asked, or ended its reader."""
    violations = tuple(v for v in getattr(error, "violations", ()) if isinstance(v, Violation))
    said = {"accepted": False, "reason": str(error), "violations": [_document(v) for v in violations]}
    return {"contract": contract, **_NOTHING, **said}


def _named(name: str) -> AnyContract:
    from smalti.contracts.registry import contract_named

    return contract_named(name)


def _judged(path: Path, contract: AnyContract | None, accepted_schema: str | None = None) -> Document:
    from smalti.datasets.cards import card_for

    if contract is not None and contract.name == "product":
        from smalti.products import read_product
        from smalti.products.judging import require_sound

        require_sound(path)
        return _verdict(path, contract, contract.check(read_product(path)))
    content: Any = read_file(path)  # what is refused by its first bytes is not hashed for its card
    card = card_for(path)
    if card and card.sha256 and (found := sha256_of(path)) != card.sha256:
        remedy = "get that version of the file, or correct sha256 in the card"
        wanted = f"{card.sha256} as its card says"
        raise broken(path.name, [Violation("card.sha256", "the file", f"SHA-256 {found}", wanted, remedy)])
    is_table = not isinstance(content, Mapping)
    contract = contract or (TABLE if is_table else SCAN)
    if is_table != isinstance(contract, TableContract):
        found, wanted = ("a table", "arrays") if is_table else ("arrays", "a table")
        remedy = f"give a file for the contract {contract.id}, or name another contract"
        raise broken(path.name, [Violation("file.form", "the file", found, wanted, remedy)])
    if isinstance(contract, ScanContract):
        return _of_scan(path, conform(content, card, file_name=path.name, contract=contract), contract)
    if isinstance(contract, TableContract):
        violations = contract.check(content, _schema(accepted_schema) if accepted_schema else None)
        return _verdict(path, contract, violations, shape=list(content.shape))
    return _verdict(path, contract, contract.check(content))


def _schema(encoded: str) -> pa.Schema:
    import pyarrow as pa

    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(encoded)))


def _of_scan(path: Path, outcome: Outcome, contract: AnyContract) -> Document:
    if outcome.scan is None:
        return _verdict(path, contract, outcome.violations, conversions=list(outcome.conversions))
    metadata = outcome.scan.metadata
    return _verdict(
        path,
        contract,
        outcome.violations,
        shape=list(outcome.scan.diffraction.shape),
        conversions=list(metadata.conversions),
        assumptions=list(metadata.assumptions()),
    )


def _verdict(path: Path, contract: AnyContract, violations: tuple[Violation, ...], **described: Any) -> Document:
    found = errors(violations)
    return {
        "contract": contract.id,
        "accepted": not found,
        "reason": str(broken(path.name, found)) if found else None,
        "violations": [_document(violation) for violation in violations],
        **_NOTHING,
        **described,
    }


def _document(violation: Violation) -> Document:
    return {**asdict(violation), "message": str(violation)}
