"""``smalti push``, ``pull``, ``verify``: values from one store to another, and whether they are there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smalti.cli.answers import warn
from smalti.cli.options import AsJson, StorePlace, print_json, readable, the_store
from smalti.cli.progress import shown
from smalti.cli.stored.fsck import say
from smalti.cli.work_tree.tracked import checked_out, default_remote, tracked_paths
from smalti.errors import NotFound

if TYPE_CHECKING:
    from smalti.store import Store, TransferReport

Other = Annotated[str, typer.Argument(metavar="REMOTE", help="The other store: a folder or a URL.")]
References = Annotated[
    list[str] | None, typer.Argument(metavar="[REF]...", help="What; all that names, pins and runs keep if nothing.")
]
What = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[REMOTE] [PATH|REF]...",
        help="The other store, by default SMALTI_REMOTE; then what: tracked paths, folders with pointer files, values. "
        "REMOTE alone: all that names, pins and runs keep. Nothing at all: what the pointer files here refer to.",
    ),
]


@dataclass(frozen=True)
class _Request:
    """What is to be moved.

    Attributes:
        remote: where to, or from.
        refs: names and digests; None for all that the source keeps.
        paths: tracked paths.
        digests: what their pointers refer to.
    """

    remote: str
    refs: list[str] | None
    paths: list[Path]
    digests: list[str]

    @property
    def wanted(self) -> list[str] | None:
        return None if self.refs is None else [*self.digests, *self.refs]


def push(what: What = None, store: StorePlace = None, as_json: AsJson = False) -> None:
    """Send values to another store: only what it lacks; interrupted, the next push goes on.

    With REMOTE alone it is a backup: every version of every name, every pin and every run is there afterwards, and the
    copy answers what this store answers. Where there is no store yet, one is made.
    """
    from smalti import tracking

    opened = the_store(store)
    request = _request(what or [], opened)
    for path, digest in zip(request.paths, request.digests, strict=True):
        try:
            opened.record(digest)
        except NotFound:
            pointer = tracking.pointer_path(path)
            raise NotFound(
                f"what {pointer} refers to is not in {opened.place}; pull it, or put {path} again."
            ) from None
    report = _move(opened, the_store(request.remote), request)
    if as_json:
        print_json(asdict(report))
    else:
        _say(report, "sent", the_store(request.remote))


def pull(what: What = None, store: StorePlace = None, as_json: AsJson = False) -> None:
    """Fetch values from another store, only what is missing here, and check out what the pointer files refer to."""
    opened = the_store(store)
    request = _request(what or [], opened)
    report = _move(the_store(request.remote), opened, request)
    if not as_json:
        _say(report, "fetched", opened)
    done = checked_out(opened, request.paths) if request.paths else []
    if as_json:
        print_json({**asdict(report), "checked_out": done})
    if any("error" in one for one in done):
        raise typer.Exit(1)


def verify(remote: Other, refs: References = None, store: StorePlace = None, as_json: AsJson = False) -> None:
    """Read in another store all that our values consist of. Exit code 1: what is missing or damaged there is named."""
    opened, other = the_store(store), the_store(remote)
    with shown("verifying", "the same command begins anew.") as progress:
        report = opened.verify(other, refs or None, progress)
    say(report, as_json)


def _request(arguments: list[str], store: Store) -> _Request:
    from smalti import tracking

    remote, rest = default_remote() if not arguments else None, arguments
    if remote is None and _is_remote(arguments[0], store):
        remote, rest = arguments[0], arguments[1:]
    remote = remote or default_remote()
    here = [one for one in rest if tracking.is_tracked(Path(one)) or Path(one).is_dir()]
    paths = tracked_paths(map(Path, here), store) if here or not rest else []
    digests = [tracking.read(path).digest for path in paths]
    if not rest and (arguments or not paths):
        return _Request(remote, None, paths, digests)
    return _Request(remote, [one for one in rest if one not in here], paths, digests)


def _is_remote(text: str, store: Store) -> bool:
    """Tell whether the first argument names the other store, and not something of ours."""
    from smalti import tracking
    from smalti.settings import Settings

    path = Path(text)
    if "://" in text or (path / "store.json").is_file():
        return True
    if tracking.is_tracked(path):
        return False
    if Settings().remote is None:
        return True
    try:
        store.resolve(text)
    except NotFound:
        return not path.is_dir()
    return False


def _move(source: Store, target: Store, request: _Request) -> TransferReport:
    was_there = target.exists()
    try:
        with shown("sending", f"what has arrived stays in {target.place}, and the same command goes on.") as progress:
            report = source.push(target, request.wanted, progress)
    finally:
        if not was_there and target.exists():
            warn(f"there was no store at {target.place}; one was made.")
    if request.wanted is not None:
        for digest in request.digests:
            target.pin(digest)  # git's pointers are out of sight of a collection there
    return report


def _say(report: TransferReport, done: str, target: Store) -> None:
    count, one = len(report.names), len(report.names) == 1
    names = f", {count} name{'s' * (not one)} stand{'s' * one} for the same there" if count else ""
    typer.echo(
        f"{report.sent} of {report.needed} objects {done}, {readable(report.nbytes_read)} read; "
        f"{target.place} grew by {readable(report.nbytes)}{names}"
    )
