"""``smalti crate export``, ``import``, ``validate``: values and runs with their provenance as RO-Crates."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from smalti.cli.options import (
    AsJson,
    StorePlace,
    Subject,
    plain_stem,
    print_json,
    printable,
    readable,
    the_store,
)
from smalti.cli.progress import shown
from smalti.outputs.quantities import count

if TYPE_CHECKING:
    from smalti.provenance.crate.importing import Imported

app = typer.Typer(no_args_is_help=True, help="Values and runs with their provenance as RO-Crates.")

_MOST_SHOWN = 20
CratePath = Annotated[Path, typer.Argument(metavar="FOLDER|ZIP", help="The crate.")]


@app.command()
def export(
    what: Subject,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER|FILE.zip", help="Where to; by default a new folder here."),
    ] = None,
    data: Annotated[
        str, typer.Option(help="include: the values as files; reference: only where they are.")
    ] = "include",
    depth: Annotated[int | None, typer.Option(min=1, help="Go so many steps upstream; by default to the end.")] = None,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Write a value or a run with all that it was made from as an RO-Crate (Workflow Run Crate profiles)."""
    from smalti.provenance import export_crate

    if data not in ("include", "reference"):
        raise typer.BadParameter(f"{data!r} is neither include nor reference", param_hint="--data")
    target = output or Path(f"{plain_stem(what)}-crate")
    how: Literal["include", "reference"] = "include" if data == "include" else "reference"
    with shown("writing", "nothing was left behind.") as progress:
        done = export_crate(the_store(store), what, target, data=how, depth=depth, progress=progress)
    if as_json:
        print_json({**asdict(done), "path": str(done.path)})
        return
    typer.echo(
        f"{done.path}: {done.profile}, {count(done.runs, 'run')}, {count(done.included, 'value')} included "
        f"({readable(done.nbytes)}), {done.referenced} named only"
    )


@app.command("import")
def import_(
    crate: CratePath,
    dry_run: Annotated[bool, typer.Option("--dry-run/--no-dry-run", help="Check everything, write nothing.")] = False,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Bring the values and runs of a crate into a store; each digest is computed anew and has to be the one stated."""
    from smalti.provenance import import_crate

    with shown("checking", "the same command begins anew.") as progress:
        done = import_crate(the_store(store), crate, dry_run=dry_run, progress=progress)
    _say(done, as_json, "would be brought" if dry_run else "brought")


@app.command()
def validate(crate: CratePath, as_json: AsJson = False) -> None:
    """Check that everything in a crate has the digest that it states; no store is needed, none is written."""
    from smalti import open_store
    from smalti.provenance import import_crate

    with shown("checking", "the same command begins anew.") as progress:
        done = import_crate(open_store("memory:"), crate, dry_run=True, progress=progress)
    _say(done, as_json, "sound")


def _say(done: Imported, as_json: bool, did: str) -> None:
    if as_json:
        print_json(asdict(done))
        return
    typer.echo(f"{count(done.values, 'object')} ({readable(done.nbytes)}) and {count(len(done.runs), 'run')} {did}")
    if done.subject:
        typer.echo(f"  about    {done.subject}")
    if done.released:
        typer.echo(f"{len(done.released)} of the runs keep nothing here: not all of their values are here")
    for address in done.pinned[:_MOST_SHOWN]:
        typer.echo(f"  pinned   {address}")
    for one in done.missing[:_MOST_SHOWN]:
        where = f"gone: {printable(one.gone)}" if one.gone else f"in {printable(one.store)}"
        typer.echo(f"  missing  {one.address}  {printable(one.called)}  {where}")
    for name, all_of in (("pinned", done.pinned), ("missing", done.missing)):
        if len(all_of) > _MOST_SHOWN:
            typer.echo(f"  and {len(all_of) - _MOST_SHOWN} more {name}; all of them: --json")
