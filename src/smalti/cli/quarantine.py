"""``smalti quarantine list``, ``show``, ``retry``, ``ignored``: what was not accepted, why, and another try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from smalti.cli.options import AsJson, print_json, printable

if TYPE_CHECKING:
    from smalti.ingest.quarantine import Entry, Quarantine

app = typer.Typer(no_args_is_help=True, help="Files that were rejected, and why; nothing is ever deleted.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The key of a file, or its name.")]


@app.command("list")
def list_entries(
    everything: Annotated[bool, typer.Option("--all", help="Also what was retried or replaced since.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the rejected files, each with the first reason."""
    entries = _quarantine().entries(past=everything)
    if as_json:
        print_json([_document(entry) for entry in entries])
        return
    for entry in entries:
        first, *more = str(entry.report["reason"]).splitlines() or ["no reason is given"]
        others = f" (and {len(more)} more)" if more else ""
        typer.echo(f"{entry.folder.name}  {printable(entry.filename)}  {printable(first)}{others}")


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show why a file was rejected and where it is."""
    entry = _quarantine().entry(name)
    if as_json:
        print_json(_document(entry))
        return
    typer.echo(f"{printable(entry.filename)} does not keep the contract {entry.report['contract']}:")
    for sentence in str(entry.report["reason"]).splitlines():
        typer.echo(f"  {printable(sentence)}")
    typer.echo(f"validated {entry.report.get('validated_at', 'at an unknown time')}; {_where(entry)}")


@app.command()
def retry(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The key, or the name of the file.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that waits.")] = False,
    as_json: AsJson = False,
) -> None:
    """Move files back into data/raw, never over another, so that they are validated again."""
    from smalti.errors import Refused
    from smalti.settings import Settings

    quarantine, raw = _quarantine(), Settings().raw
    if (name is None) == (not everything):
        raise typer.BadParameter("give one name, or --all")
    entries = [quarantine.entry(name)] if name else [e for e in quarantine.entries() if e.file]
    moved, stayed = [], []
    for entry in entries:
        try:
            moved.append(str(quarantine.retry(entry, raw)))
        except Refused as error:
            if name:
                raise
            stayed.append(str(error))
    if as_json:
        print_json({"moved": [_as_text(path) for path in moved], "stayed": stayed})
    else:
        for line in (*(f"{printable(path)} is validated again" for path in moved), *stayed):
            typer.echo(line)
    raise typer.Exit(1 if stayed else 0)


@app.command()
def ignored(as_json: AsJson = False) -> None:
    """List what lies in data/raw and is not validated, with the reason."""
    from smalti.ingest.source import Folder
    from smalti.settings import Settings

    raw = Settings().raw
    names = dict(sorted(Folder(raw).look().ignored.items())) if raw.is_dir() else {}
    if as_json:
        print_json([{"name": _as_text(name), "reason": reason} for name, reason in names.items()])
        return
    for name, reason in names.items():
        typer.echo(f"{printable(name)}  {reason}")


def _quarantine() -> Quarantine:
    from smalti.ingest.quarantine import Quarantine
    from smalti.settings import Settings

    return Quarantine(Settings().quarantine)


def _where(entry: Entry) -> str:
    if entry.file is None:
        return f"the file is not in {entry.folder} any more"
    return f"the file is {printable(str(entry.file))}"


def _as_text(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()  # a name need not be UTF-8


def _document(entry: Entry) -> dict[str, Any]:
    file = _as_text(str(entry.file)) if entry.file else None
    report = {**entry.report, "filename": _as_text(entry.filename)}
    return {"name": entry.folder.name, "file": file, "past": entry.past, "report": report}
