"""``smalti validate``: does a file keep its contract, and if not, what exactly is wrong."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smalti.cli.options import AsJson, print_json
from smalti.errors import ContractBroken, SmaltiError

if TYPE_CHECKING:
    from smalti.codecs.scan import ScanMetadata
    from smalti.contracts import Outcome, Violation


def validate(
    path: Annotated[Path, typer.Argument(help="The data file; a card beside it is <file>.card.yaml.")],
    contract: Annotated[str, typer.Option(help="The contract it must keep: scan.")] = "scan",
    json_output: AsJson = False,
) -> None:
    """Check a data file against its contract: exit 0 accepted, 1 rejected (each violation on a line), 2 usage."""
    from smalti.contracts import SCAN
    from smalti.contracts.violation import shown

    if contract != SCAN.name:
        raise typer.BadParameter(f"{shown(contract)} is no contract; the contracts are {SCAN.name}.")
    outcome, reason = _judged(path)
    if json_output:
        print_json(_document(path, SCAN.id, outcome, reason))
    elif outcome.scan is None:
        typer.echo(reason, err=True)
    else:
        count, height, width = outcome.scan.diffraction.shape
        typer.echo(f"{shown(path.name)}: accepted, {SCAN.id}, {count} patterns of {height} x {width}.")
        for label, sentence in _remarks(outcome.scan.metadata, outcome.violations):
            typer.echo(f"  {label:<10} {sentence}")
    raise typer.Exit(0 if outcome.scan else 1)


def _judged(path: Path) -> tuple[Outcome, str | None]:
    """Return the outcome, and in sentences why it is a rejection, if it is one."""
    from smalti.contracts import Outcome, Violation, examine
    from smalti.contracts.violation import broken, errors
    from smalti.datasets.cards import card_for

    try:
        outcome = examine(path, card_for(path))
        refusal = None if outcome.scan else broken(path.name, errors(outcome.violations))
    except ContractBroken as error:
        outcome, refusal = Outcome(None, tuple(v for v in error.violations if isinstance(v, Violation))), error
    except SmaltiError as error:
        return Outcome(None, ()), str(error)
    return outcome, str(refusal) if refusal else None


def _remarks(metadata: ScanMetadata, warnings: tuple[Violation, ...]) -> list[tuple[str, str]]:
    return [
        *(("converted", how) for how in metadata.conversions),
        *(("assumed", assumption) for assumption in metadata.assumptions()),
        *(("warning", str(warning)) for warning in warnings),
    ]


def _document(path: Path, contract: str, outcome: Outcome, reason: str | None) -> dict[str, object]:
    scan = outcome.scan
    return {
        "path": str(path).encode(errors="backslashreplace").decode(),  # a name need not be UTF-8
        "contract": contract,
        "accepted": scan is not None,
        "reason": reason,
        "shape": list(scan.diffraction.shape) if scan else None,
        "violations": [{**asdict(v), "message": str(v)} for v in outcome.violations],
        "conversions": list(scan.metadata.conversions if scan else outcome.conversions),
        "assumptions": list(scan.metadata.assumptions()) if scan else [],
    }
