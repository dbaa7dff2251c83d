"""``smalti import-dvc``: what a DVC repository tracks, into the store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from smalti.cli.options import AsJson, StorePlace, print_json, printable, readable, the_store
from smalti.cli.progress import shown
from smalti.cli.work_tree.tracked import the_cache

_MOST_SHOWN = 10


def import_dvc(
    repository: Annotated[Path, typer.Argument(metavar="REPO", help="The folder that holds .dvc; it is only read.")],
    into: Annotated[Path, typer.Option(help="Where the pointer files go, at the same paths.")] = Path(),
    rev: Annotated[str | None, typer.Option(help="The .dvc files of a git revision, not those there now.")] = None,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Bring what DVC tracks into the store, verified by MD5. Exit code 1: DVC's cache lacks what is named."""
    from smalti.tracking.dvc import import_dvc as bring

    opened = the_store(store)
    with shown("importing", "the same command goes on.") as progress:
        report = bring(opened, the_cache(), repository, into, revision=rev, progress=progress)
    if as_json:
        imported = [{**asdict(one), "pointer": str(one.pointer)} for one in report.imported]
        print_json({"imported": imported, "skipped": [asdict(one) for one in report.skipped], "run": report.run})
    else:
        for done in report.imported:
            files = f"{done.files} file{'s' * (done.files != 1)}, {readable(done.nbytes)}"
            typer.echo(f"imported  {printable(done.path)}  {files}  ->  {printable(str(done.pointer))}")
        for left in report.skipped:
            typer.echo(f"skipped   {printable(left.path)}  {printable(left.why)}")
            for name, place in list(left.missing.items())[:_MOST_SHOWN]:
                typer.echo(f"            {printable(name) or left.path}  would be at {printable(place)}")
            if len(left.missing) > _MOST_SHOWN:
                typer.echo(f"            and {len(left.missing) - _MOST_SHOWN} more; --json lists them")
        if not report.imported and not report.skipped:
            typer.echo(f"{repository} tracks nothing with DVC", err=True)
    if any(left.missing for left in report.skipped):
        raise typer.Exit(1)
