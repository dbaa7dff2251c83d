"""``smalti put``, ``get``, ``ls``, ``show``: values in and out of a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smalti.cli.answers import warn
from smalti.cli.options import (
    AsJson,
    OutputPlace,
    Reference,
    StorePlace,
    described,
    print_json,
    printable,
    readable,
    shown_nbytes,
    the_store,
)
from smalti.cli.progress import shown
from smalti.cli.work_tree.tracked import is_to_be_tracked, the_cache, track
from smalti.errors import Damaged, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from smalti.store import NameVersion, Record, Ref, Store

_DIGITS_SHOWN = len("sha256:") + 12
_MOST_CHARACTERS = 300

FORMS = {"npy": ".npy", "npz": ".npz", "hdf5": ".h5", "zarr": ".zarr", "parquet": ".parquet", "csv": ".csv"}


def put(
    path: Annotated[Path, typer.Argument(help="A file, or a folder.")],
    name: Annotated[str | None, typer.Option(help="A name in the store to find it by.")] = None,
    pointer: Annotated[
        bool | None, typer.Option("--pointer/--no-pointer", help="Leave PATH.smalti to commit, or do not.")
    ] = None,
    opaque: Annotated[bool, typer.Option("--opaque", help="Keep the file as bytes, whatever it is.")] = False,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Store a file or folder, once; print its digest.

    In a git work tree it is tracked: kept byte for byte, and found again by the pointer file PATH.smalti that git keeps
    in its place. With --name, or elsewhere, it is a value: .npy becomes an array, .npz a mapping of its members by the
    names that numpy.load gives them, .parquet a table, anything else bytes. A folder without a name is always tracked.
    """
    opened = the_store(store)
    if is_to_be_tracked(path, name, pointer):
        track(path, opened, as_json)
        return
    then = "the same command goes on." if path.is_dir() else "nothing was stored; the same command begins anew."
    with shown("storing", then) as progress:
        if path.is_dir():
            from smalti.tracking import put_path

            ref = put_path(opened, the_cache(), path, name=name, progress=progress).ref
        else:
            ref = _put_file(opened, path, name, opaque)
    if as_json:
        fields = ("digest", "kind", "nbytes", "new_bytes")
        print_json({"name": name} | {field: getattr(ref, field) for field in fields})
    else:
        new = f"{readable(ref.new_bytes)} new" if ref.new_bytes else "nothing new: it was there already"
        typer.echo(f"{ref.digest}  {ref.kind}, {readable(ref.nbytes)}, {new}")
    if name is None:
        typer.echo(
            f"smalti: gc removes what no name or pin leads to; keep it: smalti pin {ref.digest[:_DIGITS_SHOWN]}",
            err=True,
        )


def get(
    ref: Reference,
    output: OutputPlace = None,
    form: Annotated[str | None, typer.Option("--as", help=f"Another form: {', '.join(FORMS)}.")] = None,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Verify a value and write it: an array to .npy, a table to .arrow, JSON to .json, a file as it was.

    Other mappings are written as a folder.
    """
    if form is not None and form not in FORMS:
        raise typer.BadParameter(f"{form!r} is none of {', '.join(FORMS)}", param_hint="--as")
    opened = the_store(store)
    record = _record_to_write(opened, ref)
    from smalti.codecs.folder import FolderCodec
    from smalti.codecs.own_files import document_text
    from smalti.outputs.file import check_place, write_output

    text = document_text(record)
    suffix = FORMS[form] if form else ".json" if text is not None else Path(record.filename).suffix
    target = output or Path(ref.rsplit("/", 1)[-1].replace(":", "-") + suffix)

    check_place(target)

    with shown("writing", "what was not written whole is not there; the same command begins anew."):
        if form:
            from smalti.codecs.export import export_value

            export_value(opened.open(record.address), target, form)
        elif text is not None:
            write_output(target, text.encode())
        elif record.header.get("type") == FolderCodec.type_name:
            from smalti.tracking import stored_contents, write_contents

            write_contents(opened, target, stored_contents(opened, record.address))
        else:
            from smalti.codecs.own_files import write_value

            write_value(opened, record.address, target)
    if as_json:
        print_json({"digest": record.address, "written": str(target)})
    else:
        typer.echo(str(target))


def ls(store: StorePlace = None, as_json: AsJson = False) -> None:
    """List the names, each with what it stands for now. Exit code 1: some of that cannot be read."""
    opened = the_store(store)
    rows = [_row(opened, named) for named in opened.names()]
    unreadable = [row for row in rows if "error" in row]
    if as_json:
        print_json(rows)
    else:
        width = max((len(row["name"]) for row in rows), default=0)
        for row in rows:
            what, size = row["type"] or row["kind"], readable(row["nbytes"]) if "nbytes" in row else ""
            typer.echo(f"{row['name']:{width}}  {what:14} {size:>8}  {row['digest'][:_DIGITS_SHOWN]}  {row['at']}")
        for row in unreadable:
            warn(f"smalti: {row['name']}: {row['error']}")
    if unreadable:
        raise typer.Exit(1)
    if not rows and not as_json:
        typer.echo(f"no names in the store at {opened.place}; put something: smalti put FILE --name NAME", err=True)


def show(ref: Reference, store: StorePlace = None, as_json: AsJson = False) -> None:
    """Show what a value is made of, without reading its content."""
    from smalti.codecs.own_files import attributes

    opened = the_store(store)
    record = opened.record(ref)
    document = {
        "digest": record.address,
        "nbytes": record.nbytes,
        "leaves": len(record.leaf_sizes),
        "file": str(opened.file(record.address) or "") or None,
        "names": [named.name for named in opened.names() if named.address == record.address],
        "header": record.header,
    }
    if as_json:
        print_json(document)
        return
    typer.echo(f"{record.address}  {described(record)}")
    for name in ("names", "file", "leaves"):
        if document[name]:
            shown = ", ".join(document[name]) if name == "names" else document[name]  # type: ignore[arg-type]
            typer.echo(f"  {name}: {shown}")
    if record.kind == "json":
        typer.echo(f"  value: {_short(record.header['value'])}")
    for line in _attribute_lines(attributes(record)):
        typer.echo(f"  {line}")
    for name, address in record.children.items():
        typer.echo(f"  {printable(name)}  {address[:19]}  {described(opened.record(address))}")


def _put_file(store: Store, path: Path, name: str | None, opaque: bool) -> Ref:
    """Store what a file holds; of a value that no codec takes, say which file it is in, and the way around."""
    from smalti.cli.stored.local_file import OPAQUE, value_of
    from smalti.store.names import check_name

    if name is not None:
        check_name(name)
    value = value_of(path, opaque)
    try:
        return store.put(value, name)
    except Refused as error:
        if isinstance(value, bytes | memoryview):
            raise
        raise Refused(f"{path}: {str(error).removesuffix('.')}; {OPAQUE}.") from error


def _row(store: Store, named: NameVersion) -> dict[str, Any]:
    """Return a name and what it stands for; of what cannot be read, why not."""
    row: dict[str, Any] = {"name": named.name, "version": named.version, "digest": named.address, "at": named.at}
    try:
        record = store.record(named.address)
    except (NotFound, Damaged, Refused, Unavailable) as error:  # one of them does not hide the others
        return row | {"kind": "cannot be read", "type": None, "error": str(error)}
    return row | {"kind": record.kind, "type": record.header.get("type"), "nbytes": shown_nbytes(record)}


def _record_to_write(store: Store, ref: str) -> Record:
    """Return the record of a value; of a tracked path that is no name, say what writes it."""
    try:
        return store.record(ref)
    except NotFound:
        from smalti.tracking import data_path, is_tracked, read

        if not is_tracked(Path(ref)):
            raise
        path = data_path(Path(ref))
        digest = read(path).digest[:_DIGITS_SHOWN]
        raise NotFound(
            f"{path} is a tracked path: smalti checkout {path} writes it there, smalti get {digest} -o COPY elsewhere."
        ) from None


def _attribute_lines(attributes: dict[str, Any]) -> list[str]:
    """Return a line for each attribute, and for each field of those that have fields; long values are cut off."""
    lines: list[str] = []
    for name, value in attributes.items():
        if not isinstance(value, dict) or not value:
            lines.append(f"{printable(name)}: {_short(value)}")
            continue
        lines.append(f"{printable(name)}:")
        lines += [f"  {printable(field)}: {_short(one)}" for field, one in value.items()]
    return lines


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    cut = text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]} ... (all of it: --json)"
    return printable(cut)
