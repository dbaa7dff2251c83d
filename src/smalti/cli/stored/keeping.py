"""``smalti pin``, ``unpin``, ``forget``, ``retain``, ``gc``: what stays and what may go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from smalti.cli.answers import warn
from smalti.cli.options import AsJson, Reference, StorePlace, print_json, printable, readable, the_store
from smalti.errors import NotFound

if TYPE_CHECKING:
    from smalti.store.maintenance.gc import Unneeded

_DIGITS_SHOWN = len("sha256:") + 12
_ROOTS_SHOWN = 40


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


def retain(
    patterns: Annotated[list[str], typer.Argument(metavar="PATTERN...", help="Names, such as 'reconstruction/*'.")],
    keep_last: Annotated[int, typer.Option(min=1, help="So many of the newest versions stay.")] = 10,
    older_than: Annotated[float, typer.Option(min=0, metavar="DAYS", help="What was replaced since then stays.")] = 90,
    dry_run: Annotated[bool, typer.Option("--dry-run/--no-dry-run", help="Only say what would go.")] = True,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Take away old versions of names; what is current or pinned stays, manifests stay, values wait for gc.

    By default it only says what would go.
    """
    from smalti.store import Retention

    found = the_store(store).retain(Retention(tuple(patterns), keep_last, older_than), dry_run=dry_run)
    if as_json:
        print_json({"dry_run": dry_run, "names": [asdict(one) for one in found]})
        return
    for one in found:
        held = "; a pin holds the next" if one.held_by_pin else ""
        typer.echo(f"{printable(one.name)}: versions before {one.first_kept} ({one.versions}), {one.kept} stay{held}")
    would = "would be " if dry_run else ""
    typer.echo(f"{sum(one.versions for one in found)} versions of {len(found)} names {would}taken away")


def _say(done: str, what: str, as_json: bool) -> None:
    print_json({done: what}) if as_json else typer.echo(f"{what} is {done}")


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run/--no-dry-run", help="Only say what would happen.")] = True,
    grace_hours: Annotated[float, typer.Option(min=0, help="How long nothing is touched.")] = 24.0,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Collect what no name, pin or run needs: condemn it, and remove it in a later run after the grace period.

    By default it only says what is kept and why, and what would go. Where something that is needed is missing or
    damaged, nothing is removed: that is named, and the exit code is 1.
    """
    opened = the_store(store)
    report = opened.gc(dry_run=dry_run, grace_seconds=grace_hours * 3600)
    if as_json:
        print_json({"dry_run": dry_run, **asdict(report)})
        return
    rows = [*_kept(report.roots)] if dry_run else []
    for line in _table([*rows, *map(_unneeded, report.unneeded)]):
        typer.echo(line)
    sums = {state: report.nbytes(state) for state in ("young", "condemned", "removed")}
    would = "would be " if dry_run else ""
    typer.echo(
        f"{report.needed} of {report.objects} objects are needed; {readable(sums['young'])} are too young, "
        f"{readable(sums['condemned'])} are condemned, {readable(sums['removed'])} {would}removed"
    )
    removed = [] if dry_run else [item.address for item in report.unneeded if item.state == "removed"]
    if any(map(opened.runs_of, removed)):
        warn("links below runs/ to what was removed lead nowhere now; smalti runs views --rebuild takes them away")


Row = tuple[str, str, str, str]  # state, object, size, why


def _kept(roots: Mapping[str, str]) -> Iterator[Row]:
    for address, why in list(roots.items())[:_ROOTS_SHOWN]:
        yield "kept", address[:_DIGITS_SHOWN], "", printable(why)
    if (more := len(roots) - _ROOTS_SHOWN) > 0:
        yield "kept", f"and {more} more", "", "all of them: --json"


def _unneeded(item: Unneeded) -> Row:
    left, ago = _hours(item.seconds_left), item.condemned_seconds
    state, why = item.state, "no name, pin or run leads to it"
    if state == "young":
        why += f"; younger than the grace period for {left}"
    elif state == "condemned" and ago is not None:
        state, why = "waiting", f"{why}; condemned {_hours(ago)} ago, may go in {left}"
    elif state == "condemned":
        why += f"; condemned from now on, may go in {left}"
    return state, item.address[:_DIGITS_SHOWN], readable(item.nbytes), why


def _table(rows: Sequence[Row]) -> Iterator[str]:
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for state, what, size, why in rows:
        cells = (f"{state:<{widths[0]}}", f"{what:<{widths[1]}}", f"{size:>{widths[2]}}", why)
        yield "  ".join(cell for cell in cells if cell)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 360 else f"{seconds / 60:.0f} min"
