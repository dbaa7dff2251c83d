"""``smalti validate``: does a file keep its contract, and if not, what exactly is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from smalti.cli.options import AsJson, print_json, printable
from smalti.errors import SmaltiError


def validate(
    path: Annotated[Path, typer.Argument(help="The data file; a card beside it is <file>.card.yaml.")],
    contract: Annotated[
        str | None, typer.Option(help="The contract it must keep; by default scan for arrays, table for a table.")
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Check a data file against its contract: exit 0 accepted, 1 rejected (each violation on a line), 2 usage."""
    verdict = _verdict(path, contract)
    if "usage" in verdict:
        raise typer.BadParameter(verdict["usage"], param_hint="--contract")
    if json_output:
        named = str(path).encode(errors="backslashreplace").decode()  # a name need not be UTF-8
        print_json({"path": named, **verdict})
    elif not verdict["accepted"]:
        typer.echo(verdict["reason"], err=True)
    else:
        typer.echo(f"{printable(path.name)}: accepted, {verdict['contract']}{_extent(verdict['shape'])}.")
        for label, sentence in _remarks(verdict):
            typer.echo(f"  {label:<10} {sentence}")
    raise typer.Exit(0 if verdict["accepted"] else 1)


def _verdict(path: Path, contract: str | None) -> dict[str, Any]:
    """Judge the file in the sandbox; what ends the sandbox is a verdict too."""
    from smalti.contracts.sandbox import in_sandbox

    try:
        return in_sandbox("smalti.datasets.verdict:judge", path, {"path": str(path), "contract": contract})
    except SmaltiError as error:
        from smalti.datasets.verdict import rejection

        return rejection(contract, error)


def _extent(shape: list[int] | None) -> str:
    match shape:
        case [count, height, width]:
            return f", {count} patterns of {height} x {width}"
        case [rows, columns]:
            return f", {rows} rows of {columns} columns"
        case _:
            return ""


def _remarks(verdict: dict[str, Any]) -> list[tuple[str, str]]:
    warnings = (violation["message"] for violation in verdict["violations"])
    return [
        *(("converted", how) for how in verdict["conversions"]),
        *(("assumed", assumption) for assumption in verdict["assumptions"]),
        *(("warning", message) for message in warnings),
    ]
