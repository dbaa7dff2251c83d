"""``smalti pin``, ``unpin``, ``forget``, ``gc``: what stays and what may go."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from smalti.cli.answers import warn
from smalti.cli.options import AsJson, Reference, StorePlace, print_json, readable, the_store
from smalti.errors import NotFound


def pin(ref: Reference, store: StorePlace = None, as_json: AsJson = False) -> None:
    """Keep a value whether or not it has a name."""
    opened = the_store(store)
    opened.pin(ref)
    _say("pinned", opened.resolve(ref), as_json)


def unpin(ref: Reference, store: StorePlace = None, as_json: AsJson = False) -> None:
    """Take a pin away; the value stays if a name leads to it."""
    opened = the_store(store)
    opened.unpin(ref)
    _say("unpinned", opened.resolve(ref), as_json)


def forget(
    name: Annotated[str, typer.Argument(help="A name, with all its versions.")],
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Take a name away. Values stay until gc finds that nothing else needs them."""
    opened = the_store(store)
    if not opened.versions(name):
        raise NotFound(f"{name!r} is no name in the store at {opened.place}; `smalti ls` lists them.")
    opened.forget(name)
    _say("forgotten", name, as_json)


def _say(done: str, what: str, as_json: bool) -> None:
    print_json({done: what}) if as_json else typer.echo(f"{what} is {done}")


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run/--no-dry-run", help="Only say what would happen.")] = True,
    grace_hours: Annotated[float, typer.Option(min=0, help="How long nothing is touched.")] = 24.0,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Collect what no name, pin or run needs: condemn it, and remove it in a later run after the grace period."""
    opened = the_store(store)
    report = opened.gc(dry_run=dry_run, grace_seconds=grace_hours * 3600)
    if as_json:
        print_json({"dry_run": dry_run, **asdict(report)})
        return
    if dry_run:
        for address, why in report.roots.items():
            typer.echo(f"{'kept':9}  {address}  {why} leads to it")
    for item in report.unneeded:
        typer.echo(f"{item.state:9}  {item.address}  {readable(item.nbytes)}, no name, pin or run leads to it")
    sums = {state: report.nbytes(state) for state in ("young", "condemned", "removed")}
    would = "would be " if dry_run else ""
    typer.echo(
        f"{report.needed} of {report.objects} objects are needed; {readable(sums['young'])} are too young, "
        f"{readable(sums['condemned'])} are condemned, {readable(sums['removed'])} {would}removed"
    )
    removed = [] if dry_run else [item.address for item in report.unneeded if item.state == "removed"]
    if any(map(opened.runs_of, removed)):
        warn("links below runs/ to what was removed lead nowhere now; smalti runs views --rebuild takes them away")
