"""``smalti diff`` and ``tree``: what changed between two values, and what one consists of."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smalti import compare
from smalti.cli import progress
from smalti.cli.answers import warn
from smalti.cli.options import AsJson, Reference, StorePlace, described, print_json, printable, the_store
from smalti.errors import Ambiguous, NotFound, Refused, SmaltiError
from smalti.outputs.file import check_place, write_output
from smalti.outputs.page import is_page

if TYPE_CHECKING:
    from smalti.store import Record, Store

_DIGITS_SHOWN = len("sha256:") + 12


def diff(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="A B | run:A run:B | [REV [REV]] PATH",
            help="Two values, each a name, sha256:<hex>, a unique prefix, or a tracked path; two runs; or git "
            "revisions (by default HEAD, and the pointer file as it is now) and the tracked path to compare.",
        ),
    ],
    store: StorePlace = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="The column of a table that says which rows correspond; several times for several together. By "
            "default the index, or a column called id or the like.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a page with pictures, too; a file that is there is replaced only if it is such a page.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two values or two runs, down to elements, cells and lines; only what differs is read.

    Exit code 0: they are equal; 1: they differ; 2: cannot tell.
    """
    try:
        opened = the_store(store)
        runs = [text.removeprefix(compare.RUN) for text in what if text.startswith(compare.RUN)]
        if (runs and len(runs) != len(what)) or len(runs) > 2:
            raise Refused("a run is compared with another run: smalti diff run:A run:B.")
        before, after = runs if runs else _compared(opened, what)
        if html:
            check_place(html, is_page)
        with progress.shown("comparing", "nothing was written") as show:
            act = compare.compare_runs if runs else compare.compare
            found = act(opened, before, after, key=key or (), progress=show)
        if html:
            write_output(html, compare.page(found, opened).encode(), is_page)
    except SmaltiError as error:
        typer.echo(f"smalti: {error}", err=True)
        raise typer.Exit(2) from None  # 1 says that they differ
    if as_json:
        document = asdict(found) if runs else {**asdict(opened.diff(before, after)), **asdict(found)}
        print_json(_plain({**document, "equal": found.equal}))
    else:
        for line in compare.text(found):
            typer.echo(line)
    if found.equal and not as_json and _is_path(what[-1]):
        warn("smalti: pointer files were compared; what changed since the last put: smalti status")
    if not found.equal:
        raise typer.Exit(1)


def _plain(value: Any) -> Any:
    """Return what JSON can hold: numbers that it cannot are spelled out, as are complex ones."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return str(value) if isinstance(value, complex | bytes) else value


def _is_path(text: str) -> bool:
    from smalti.tracking import is_tracked

    return is_tracked(Path(text))


def _compared(store: Store, what: list[str]) -> tuple[str, str]:
    """Return the digests that are to be compared."""
    from smalti.tracking import data_path, is_tracked, read
    from smalti.tracking.git import pointer_at

    *before, last = what
    path = data_path(Path(last)) if is_tracked(Path(last)) else None
    if path is None or (len(before) == 1 and not _is_revision(store, path, before[0])):
        if len(what) != 2:
            raise Refused(f"{last} is not tracked, so two values are compared: smalti diff A B.")
        one, other = (read(data_path(Path(t))).digest if is_tracked(Path(t)) else store.resolve(t) for t in what)
        return one, other
    if len(before) > 2:
        raise Refused(f"two revisions of {path} are compared, not {len(before)}: smalti diff REV REV {path}.")
    digests = [pointer_at(path, revision).digest for revision in before or ["HEAD"]]
    return (*digests, read(path).digest)[:2]  # type: ignore[return-value]


def _is_revision(store: Store, path: Path, text: str) -> bool:
    """Tell whether what stands before a tracked path is a git revision; else it is a value.

    Raises:
        Ambiguous: it could be either.
    """
    from smalti.tracking import is_tracked
    from smalti.tracking.git import commit_of, work_tree_of

    if is_tracked(Path(text)):
        return False
    commit = commit_of(path.parent, text) if work_tree_of(path) else None
    if commit is None:
        return False
    try:
        store.resolve(text)
    except NotFound:
        return True
    raise Ambiguous(
        f"{text!r} is a name in {store.place} and a git revision; say {commit[:12]}, or the value's digest."
    )


def tree(ref: Reference, store: StorePlace = None, as_json: AsJson = False) -> None:
    """Show what a value consists of, however deep; what occurs again is named and shown only once."""
    opened = the_store(store)
    record = opened.record(ref)
    if as_json:
        print_json(_document(opened, record, {}, ""))
        return
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    def grow(branch: Tree, record: Record, path: str) -> None:
        for name, address in record.children.items():
            below = f"{path}/{name}" if path else name
            child = opened.record(address)
            label = f"{printable(name)}  {described(child)}  {address[:_DIGITS_SHOWN]}"
            if address in shown:
                branch.add(Text(f"{label}  the same as {printable(shown[address])}"))
            else:
                shown[address] = below
                grow(branch.add(Text(label)), child, below)

    shown: dict[str, str] = {}
    root = Tree(Text(f"{ref}  {described(record)}  {record.address[:_DIGITS_SHOWN]}"))
    grow(root, record, "")
    Console(soft_wrap=True).print(root)


def _document(store: Store, record: Record, shown: dict[str, str], path: str) -> dict[str, Any]:
    """Return a value and its children; where one occurs again, only ``same_as``, the path at which it came first."""
    document: dict[str, Any] = {"digest": record.address, "kind": record.kind, "nbytes": record.nbytes}
    document |= {name: record.header[name] for name in ("type", "dtype", "shape", "rows") if name in record.header}
    if record.address in shown:
        return document | {"same_as": shown[record.address]}
    shown[record.address] = path
    if record.kind == "tree":
        document["children"] = {
            name: _document(store, store.record(address), shown, f"{path}/{name}" if path else name)
            for name, address in record.children.items()
        }
    return document
