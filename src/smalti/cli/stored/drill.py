"""``smalti drill``: does what a backup holds come back?"""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Annotated

import typer

from smalti.cli.answers import counted
from smalti.cli.options import AsJson, StorePlace, print_json, printable, readable, the_store
from smalti.errors import Refused


def drill(
    backup: Annotated[
        str | None, typer.Argument(metavar="[BACKUP]", help="A folder or a URL; by default SMALTI_BACKUP_URL.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Decides which values; by default others each time.")] = None,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Restore a product and another value from a backup into an empty temporary store, verify and open them.

    Exit code 1: one of them did not come back as it was, and why is said.
    """
    from smalti.products.drill import drill as restore
    from smalti.settings import Settings

    place = backup or Settings().backup_url
    if place is None:
        raise Refused("no backup is named; give its folder or URL, or set SMALTI_BACKUP_URL.")
    report = restore(the_store(store), the_store(place), random.Random(seed))
    if as_json:
        print_json({**asdict(report), "clean": report.clean})
    else:
        for one in report.restored:
            what = f"{printable(one.name)} of {one.at}"
            size = f"{counted(one.objects, 'object')}, {readable(one.nbytes)}, {one.seconds:.1f} s"
            typer.echo(f"{what}: {one.problem or f'restored ({size}); {one.stands}'}")
        typer.echo(f"{report.backup} has {counted(report.names, 'name')}, the newest of {report.newest_at}")
    if not report.clean:
        raise typer.Exit(1)
