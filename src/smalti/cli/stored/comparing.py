"""``smalti diff`` and ``tree``: what changed between two values, and what one consists of."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smalti.cli.options import AsJson, Reference, StorePlace, described, print_json, printable, readable_size, the_store
from smalti.errors import Ambiguous, NotFound, Refused, SmaltiError

if TYPE_CHECKING:
    from smalti.store import Change, ContentChange, Record, RowChange, Store

_MOST_SHOWN = 8
_MOST_CHARACTERS = 100
_DIGITS_SHOWN = len("sha256:") + 12


def diff(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="A B | [REV [REV]] PATH",
            help="Two values, each a name, sha256:<hex>, a unique prefix, or a tracked path; or git revisions (by "
            "default HEAD, and the pointer file as it is now) and the tracked path to compare.",
        ),
    ],
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Compare two values without reading their content. Exit code 0: they are equal; 1: they differ; 2: cannot tell."""
    try:
        opened = the_store(store)
        found = opened.diff(*_compared(opened, what))
    except SmaltiError as error:
        typer.echo(f"smalti: {error}", err=True)
        raise typer.Exit(2) from None  # 1 says that they differ
    if as_json:
        print_json({**asdict(found), "equal": found.equal})
    else:
        for change in found.changes:
            for line in _lines(opened, change):
                typer.echo(line)
        if found.equal:
            typer.echo("equal")
            if _is_path(what[-1]):
                typer.echo(
                    "smalti: pointer files were compared; what changed since the last put: smalti status", err=True
                )
        elif found.same:
            typer.echo(f"{found.same} {'child is' if found.same == 1 else 'children are'} the same")
    if not found.equal:
        raise typer.Exit(1)


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


def _lines(store: Store, change: Change) -> list[str]:
    what = "added" if change.before is None else "removed" if change.after is None else "changed"
    record = store.record(change.after or change.before or "")
    lines = [f"{what:8} {printable(change.path) or '(the value)'}  {described(record)}"]
    for field in change.fields:
        lines.append(f"           {printable(field.name)}: {_json(field.before)} -> {_json(field.after)}")
    if change.content:
        lines += [f"           {line}" for line in _content(change.content)]
    return lines


def _content(content: ContentChange) -> list[str]:
    new, gone = readable_size(content.nbytes_new), readable_size(content.nbytes_gone)
    leaves = f"{content.leaves_new} of {content.leaves} leaves new, {new}; {content.leaves_gone} gone, {gone}"
    if not content.leaves_new and not content.leaves_gone:
        leaves = "the same leaves"
    return [leaves, *_some("rows", [_rows(row) for row in content.rows or ()]), *_some("tensors", content.tensors)]


def _some(what: str, items: Any) -> list[str]:
    """Return a line that lists the first few."""
    more = f", and {len(items) - _MOST_SHOWN} more" if len(items) > _MOST_SHOWN else ""
    return [f"{what} {', '.join(map(printable, items[:_MOST_SHOWN]))}{more}"] if items else []


def _rows(row: RowChange) -> str:
    """Say which rows, as numpy slices them."""
    (i, j), (k, m) = row.before, row.after
    if i == j:
        return f"{k}:{m} inserted"
    if k == m:
        return f"{i}:{j} deleted"
    return f"{k}:{m} changed" if row.before == row.after else f"{i}:{j} -> {k}:{m}"


def _json(value: Any) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return printable(text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}...")


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
