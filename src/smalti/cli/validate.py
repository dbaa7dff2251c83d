"""``smalti validate``: does a file keep its contract, and if not, what exactly is wrong."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from smalti.cli.answers import counted
from smalti.cli.options import AsJson, StorePlace, print_json, printable, the_store
from smalti.errors import Refused, SmaltiError

_SKIPPED_SHOWN = 8


def validate(
    path: Annotated[Path, typer.Argument(help="The data file; a card beside it is <file>.card.yaml.")],
    contract: Annotated[
        str | None, typer.Option(help="The contract it must keep; by default scan for arrays, table for a table.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="REF", help="A stored table; what changed in the columns since is said too.")
    ] = None,
    store: StorePlace = None,
    json_output: AsJson = False,
) -> None:
    """Check a data file against its contract: exit 0 accepted, 1 rejected (each violation on a line), 2 usage."""
    found = _validated(path, contract, _schema_of(since, store) if since else None)
    if "usage" in found:
        raise typer.BadParameter(found["usage"], param_hint="--contract")
    if json_output:
        named = str(path).encode(errors="backslashreplace").decode()  # a name need not be UTF-8
        print_json({"path": named, **found})
    elif not found["accepted"]:
        typer.echo(found["reason"], err=True)
    else:
        typer.echo(f"{printable(path.name)}: accepted, {found['contract']}{_extent(found['shape'])}.")
        for label, sentence in _remarks(found):
            typer.echo(f"  {label:<10} {sentence}")
    raise typer.Exit(0 if found["accepted"] else 1)


def _schema_of(ref: str, store: str | None) -> str:
    """Return the schema of a stored table as text for the sandbox."""
    from smalti.codecs import LazyTable

    table = the_store(store).open(ref)
    if not isinstance(table, LazyTable):
        raise Refused(f"{ref!r} is no table, so it has no columns to compare; name a stored table after --since.")
    return base64.b64encode(table.schema.serialize()).decode()


def _validated(path: Path, contract: str | None, schema: str | None) -> dict[str, Any]:
    """Validate the file in the sandbox; that it cannot be read is a result too."""
    from smalti.ingest.sandbox import Sandbox

    try:
        with Sandbox() as sandbox:
            return sandbox.validate(path, contract=contract, accepted_schema=schema).document
    except SmaltiError as error:
        from smalti.ingest.validate import document, refused

        return document(refused(error, contract or ""), path.name)


def _extent(shape: list[int] | None) -> str:
    match shape:
        case [count, height, width]:
            return f", {counted(count, 'pattern')} of {height} x {width}"
        case [rows, columns]:
            return f", {counted(rows, 'row')} of {counted(columns, 'column')}"
        case _:
            return ""


def _remarks(found: dict[str, Any]) -> list[tuple[str, str]]:
    warnings = (violation["message"] for violation in found["violations"])
    few, more = found["skipped"][:_SKIPPED_SHOWN], len(found["skipped"]) - _SKIPPED_SHOWN
    return [
        *(("converted", how) for how in found["conversions"]),
        *(("assumed", assumption) for assumption in found["assumptions"]),
        *(("skipped", what) for what in (*few, *([f"and {more} more"] if more > 0 else []))),
        *(("warning", message) for message in warnings),
    ]
