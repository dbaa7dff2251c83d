"""``smalti push`` and ``pull``: values from one store to another."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from smalti.cli.options import AsJson, StorePlace, print_json, readable_size, the_store

if TYPE_CHECKING:
    from smalti.store import Store

Other = Annotated[str, typer.Argument(metavar="REMOTE", help="The other store: a folder or a URL.")]
References = Annotated[
    list[str] | None, typer.Argument(metavar="[REF]...", help="What; all names and pins if nothing.")
]


def push(remote: Other, refs: References = None, store: StorePlace = None, as_json: AsJson = False) -> None:
    """Send values to another store: only what it lacks; interrupted, the next push goes on."""
    _move(the_store(store), the_store(remote), refs, as_json)


def pull(remote: Other, refs: References = None, store: StorePlace = None, as_json: AsJson = False) -> None:
    """Fetch values from another store: only what is missing here; interrupted, the next pull goes on."""
    _move(the_store(remote), the_store(store), refs, as_json)


def _move(source: Store, target: Store, refs: list[str] | None, as_json: bool) -> None:
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("sending", total=None)
        report = source.push(
            target, refs or None, lambda done, total, _: progress.update(task, completed=done, total=total)
        )
    if as_json:
        print_json(asdict(report))
    else:
        typer.echo(
            f"{report.sent} of {report.needed} objects sent, {readable_size(report.nbytes)}; "
            f"{len(report.names)} names stand for the same in {target.place}"
        )
