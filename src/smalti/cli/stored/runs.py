"""``smalti runs``: what runs read, wrote and ran on, where they are shown, and which may go."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from smalti.cli.options import AsJson, StorePlace, print_json, printable, the_store

if TYPE_CHECKING:
    from smalti.store import Manifest

app = typer.Typer(no_args_is_help=True, help="What runs read, wrote and ran on.")

_RECORDED = "store.add_manifest records one; what Dagster made of what, its Lineage tab shows."
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def _age(text: str) -> timedelta:
    if not (match := re.fullmatch(rf"(\d+)([{''.join(_UNITS)}])", text)):
        raise typer.BadParameter(f"{text!r} is no age; write hours, days or weeks as in 12h, 90d or 4w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@app.command("list")
def list_runs(store: StorePlace = None, as_json: AsJson = False) -> None:
    """List the runs, with what each read and wrote."""
    manifests = list(the_store(store).manifests())
    if as_json:
        print_json([asdict(manifest) for manifest in manifests])
        return
    for manifest in manifests:
        typer.echo(_line(manifest))
    if not manifests:
        typer.echo("no runs are recorded here; " + _RECORDED, err=True)


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="What the run is called.")],
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Show all that is known of a run."""
    manifest = the_store(store).manifest(run)
    if as_json:
        print_json(asdict(manifest))
        return
    typer.echo(_line(manifest))
    for did, values in (("read", manifest.inputs), ("wrote", manifest.outputs)):
        for name, address in values.items():
            typer.echo(f"  {did:5}  {address}  {name}")
    if manifest.notes is not None:
        typer.echo("  made by:")
        print_json(manifest.notes)


@app.command()
def find(
    data: Annotated[str, typer.Option(metavar="REF", help="A value: a name or a digest. One that is gone: all of it.")],
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Find the runs that read or wrote a value."""
    uses = the_store(store).runs_of(data)
    if as_json:
        print_json([use._asdict() for use in uses])
        return
    for use in uses:
        typer.echo(f"{use.role:5}  {use.run}")
    if not uses:
        typer.echo("no recorded run used it; " + _RECORDED, err=True)


@app.command()
def views(
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Make missing entries, mend wrong ones, remove links that no run asks for."),
    ] = False,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """List the folders below runs/ by which people find runs, or make them again from the manifests."""
    opened = the_store(store)
    if rebuild:
        from smalti.cli import progress

        with progress.shown("reading manifests", "run it again, it begins anew.") as show:
            mended = opened.rebuild_views(show)
        if as_json:
            print_json(asdict(mended))
        else:
            typer.echo(f"{mended.entries} entries, {mended.made} made or mended, {mended.removed} removed")
        return
    found = opened.views()
    if as_json:
        print_json(found)
        return
    for view, names in found.items():
        typer.echo(f"{len(names):5}  runs/{printable(view)}")
    if not found:
        typer.echo("no run is shown anywhere; store.update_manifest(run, views=[...]) shows one.", err=True)


@app.command()
def release(
    runs: Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", help="These runs.")] = None,
    older_than: Annotated[
        timedelta | None, typer.Option(metavar="AGE", parser=_age, help="All runs older than that: 12h, 90d, 4w.")
    ] = None,
    keep_last: Annotated[int, typer.Option(min=0, help="But not the newest so many.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run/--no-dry-run", help="Only say what would happen.")] = True,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Let the values of runs go; what was read and written stays known, and gc removes what nothing else needs."""
    from smalti.store import outdated

    opened = the_store(store)
    if bool(runs) == (older_than is not None) or (runs and keep_last):
        raise typer.BadParameter("name runs, or say with --older-than, and --keep-last, which")
    if older_than is not None:
        manifests = outdated(opened.manifests(), older_than, keep_last)
    else:
        manifests = [opened.manifest(run) for run in runs or ()]
    if not dry_run:
        manifests = [opened.release(manifest.run) for manifest in manifests]
    if as_json:
        print_json({"dry_run": dry_run, "runs": [asdict(manifest) for manifest in manifests]})
        return
    for manifest in manifests:
        typer.echo(_line(manifest))
    typer.echo(f"{len(manifests)} runs {'would be ' if dry_run else ''}released")


def _line(manifest: Manifest) -> str:
    released = f", released {manifest.released_at}" if manifest.released_at else ""
    return (
        f"{manifest.run}  {manifest.created_at}  {len(manifest.inputs)} read, {len(manifest.outputs)} written{released}"
    )
