"""``smalti runs``: what runs read, wrote and ran on, where they are shown, and which may go."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from smalti.cli.answers import warn
from smalti.cli.options import AsJson, StorePlace, print_json, printable, the_store
from smalti.cli.stored import run_text as text
from smalti.errors import NotFound
from smalti.outputs.quantities import count
from smalti.runs.run_manifest import STATUSES, is_lost, status_of
from smalti.runs.run_types import RunType, run_type_of
from smalti.store import UnreadManifests

if TYPE_CHECKING:
    from smalti.store import Manifest, Store
    from smalti.store.manifests.lineage import Direction

app = typer.Typer(no_args_is_help=True, help="What runs read, wrote and ran on.")

_RECORDED = "runs of Dagster and of smalti.runs record themselves, others are recorded with store.add_manifest."
_TYPES, _STATUSES = ", ".join(RunType), ", ".join(STATUSES)
_A_WHILE_SECONDS = 1.0
_NEAR = 5
_LONGEST_AGE = timedelta(days=36500)
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def _age(text: str) -> timedelta:
    if not (match := re.fullmatch(rf"(\d+)([{''.join(_UNITS)}])", text)):
        raise typer.BadParameter(f"{text!r} is no age; write hours, days or weeks as in 12h, 90d or 4w")
    try:
        age = timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        age = timedelta.max
    if age > _LONGEST_AGE:
        raise typer.BadParameter(f"{text!r} is longer than {_LONGEST_AGE.days}d, the longest age")
    return age


Fresh = Annotated[
    bool, typer.Option("--fresh", help="In a bucket: look now for what others recorded, not within a minute.")
]


@app.command("list")
def list_runs(
    project: Annotated[str, typer.Option(help="Only those of this project.")] = "",
    run_type: Annotated[str, typer.Option("--type", help=f"Only those of this type: {_TYPES}.")] = "",
    status: Annotated[str, typer.Option(help=f"Only those with this status: {_STATUSES}.")] = "",
    since: Annotated[
        timedelta | None, typer.Option(metavar="AGE", parser=_age, help="Only those younger than that: 12h, 90d, 4w.")
    ] = None,
    fresh: Fresh = False,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """List the runs, newest first by when they were recorded, with how much each read and wrote."""
    kind = run_type_of(run_type).value if run_type else ""
    opened = the_store(store)
    with _said(opened, fresh):
        after = datetime.now(UTC) - since if since is not None else None
        found = opened.runs(project=project, run_type=kind, status=status and status_of(status), since=after)
        if as_json:
            print_json([asdict(manifest) for manifest in found])
            return
        none = True
        for manifest in found:
            none = False
            typer.echo(text.line(manifest))
        if none:
            some = any((project, run_type, status, since is not None))
            warn("no run recorded here is such" if some else f"no runs are recorded here; {_RECORDED}")


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="What the run is called.")],
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Show all that is known of a run."""
    opened = the_store(store)
    try:
        manifest = opened.manifest(run)
    except NotFound as error:
        raise NotFound(f"{error}{_near(opened, run)}") from None
    with _said(opened, fresh=False):
        children = opened.children_of(run)
    if as_json:
        print_json({**asdict(manifest), "children": children, "is_lost": is_lost(manifest)})
        return
    for line in text.everything(manifest, children):
        typer.echo(line)


@app.command()
def find(
    data: Annotated[str, typer.Option(metavar="REF", help="A value: a name or a digest. One that is gone: all of it.")],
    upstream: Annotated[
        bool,
        typer.Option("--upstream/--downstream", help="What it was made from, or what used it and what came of that."),
    ] = False,
    depth: Annotated[int | None, typer.Option(min=1, help="Follow so many steps; by default all.")] = None,
    parts: Annotated[
        bool, typer.Option("--parts", help="Also through trees that a value is a part of, and through their parts.")
    ] = False,
    fresh: Fresh = False,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Find the runs that used a value, directly or downstream, or, with --upstream, those that led to it."""
    from smalti.provenance.told import names_in

    opened = the_store(store)
    address = opened.resolve(data)
    direction: Direction = "upstream" if upstream else "downstream"
    with _said(opened, fresh):
        hops = opened.lineage(address, direction, depth, parts=parts)
        uses = opened.runs_of(address, parts=parts)
        if not uses:
            opened.record(address)  # or it is not there at all
        if not uses and not parts and (uses := opened.runs_of(address, parts=True)):
            hops = opened.lineage(address, direction, depth, parts=True)
            warn("no run used the value itself; these used something that it is a part of, or a part of it")
        did = "wrote" if upstream else "read"
        others = [use.run for use in uses if use.role == did and use.run not in {hop.run for hop in hops}]
        if as_json:
            found = {"data": address, "direction": direction, "hops": [asdict(hop) for hop in hops]}
            print_json({**found, "uses": [use._asdict() for use in uses]})
            return
        manifests = {run: _manifest(opened, run) for run in dict.fromkeys([*(hop.run for hop in hops), *others])}
        named = {version.address: version.name for version in opened.names()} if hops else {}
        called = names_in(filter(None, manifests.values()))

        def name_of(address: str) -> str:
            if address in named:
                return named[address]
            return f"{printable(called[address])} {text.short(address)}" if address in called else text.short(address)

        for line in text.tree(hops, others, upstream, name_of, manifests):
            typer.echo(line)
        if not uses:
            warn(f"no recorded run used it; {_RECORDED}")
        elif not hops and not others:
            runs = ", ".join(use.run for use in uses)
            warn(f"no recorded run {did} it; it was {'read' if upstream else 'written'} by {runs}")


def _manifest(store: Store, run: str) -> Manifest | None:
    try:
        return store.manifest(run)
    except NotFound:  # removed meanwhile, or written by another machine and removed since the last look
        return None


def _near(store: Store, run: str) -> str:
    """Return the end of a sentence that says which runs have names like one that is not there."""
    runs = store.run_names()
    near = [name for name in runs if name.startswith(run)] if run else []
    near += [name for name in get_close_matches(run, runs, _NEAR) if name not in near]
    return f" Similar names: {', '.join(near[:_NEAR])}." if near else " `smalti runs list` lists the runs."


@contextmanager
def _said(store: Store, fresh: bool) -> Iterator[None]:
    """Look for runs in here; what is missing from the answer is said on stderr, a sentence each."""
    if fresh:
        store.runs_known_as_of(look=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnreadManifests)
        yield
        for reason in store.unread_manifests().values():
            warn(f"left out: {reason}")
    age = (datetime.now(UTC) - store.runs_known_as_of()).total_seconds()
    if age > _A_WHILE_SECONDS:
        warn(f"what other machines recorded is known as of {age:.0f} s ago; --fresh looks now")


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
        warn("no run is shown anywhere; store.update_manifest(run, views=[...]) shows one")


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
        typer.echo(text.line(manifest))
    typer.echo(f"{count(len(manifests), 'run')} {'would be ' if dry_run else ''}released")
