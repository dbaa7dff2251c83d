"""``smalti stats``: how much a store holds, and what keeping every piece once saves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from smalti.cli.answers import counted
from smalti.cli.options import AsJson, StorePlace, print_json, readable, the_store
from smalti.cli.progress import shown


def stats(
    largest: Annotated[int, typer.Option(min=0, help="How many names to show, largest first.")] = 10,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Say how much the store holds, of which kinds, what deduplication saves, and which names are largest."""
    opened = the_store(store)
    with shown("reading records", "the same command begins anew.") as progress:
        found = opened.stats(progress)
    if as_json:
        print_json({**asdict(found), "largest": [asdict(name) for name in found.largest[:largest]]})
        return
    objects, names = counted(found.objects, "object"), counted(found.names, "name")
    typer.echo(f"{objects}, {names} with {counted(found.versions, 'version')} in {opened.place}")
    saved = f"; keeping every piece once saves {readable(found.nbytes_saved)}" if found.nbytes_saved > 0 else ""
    apart, kept = readable(found.nbytes), readable(found.nbytes_kept)
    typer.echo(f"{apart} of values, each counted by itself, are kept in {kept}{saved}")
    for kind in found.kinds:
        content = f"{readable(kind.nbytes)} of content in {readable(kind.nbytes_kept)}"
        typer.echo(f"  {kind.kind:8} {kind.objects:6}  {content}")
    for name in found.largest[:largest]:
        typer.echo(f"  {readable(name.nbytes):>8}  {name.name}")
