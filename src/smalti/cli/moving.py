"""``smalti push``, ``pull``, ``verify``: values from one store to another, and whether they are there."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from smalti.cli.fsck import say
from smalti.cli.options import AsJson, StorePlace, print_json, readable_size, the_store
from smalti.cli.progress import shown

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


def verify(remote: Other, refs: References = None, store: StorePlace = None, as_json: AsJson = False) -> None:
    """Read in another store all that our values consist of. Exit code 1: what is missing or damaged there is named."""
    opened, other = the_store(store), the_store(remote)
    with shown("verifying", "the same command begins anew.") as progress:
        report = opened.verify(other, refs or None, progress)
    say(report, as_json)


def _move(source: Store, target: Store, refs: list[str] | None, as_json: bool) -> None:
    with shown("sending", f"what has arrived stays in {target.place}, and the same command goes on.") as progress:
        report = source.push(target, refs or None, progress)
    if as_json:
        print_json(asdict(report))
        return
    grew = f"{target.place} grew by {readable_size(report.nbytes)}"
    names = f"{len(report.names)} name{'s' * (len(report.names) != 1)}"
    typer.echo(
        f"{report.sent} of {report.needed} objects sent, {readable_size(report.nbytes_read)} read; {grew}, "
        f"{names} stand{'s' * (len(report.names) == 1)} for the same there"
    )
