"""Comparing any two stored values: records say where they differ, and only there the content is read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from smalti import canonical
from smalti.compare.arrays import compare_arrays
from smalti.compare.columns import Table
from smalti.compare.differences import (
    Comparison,
    Content,
    Difference,
    DocumentDifference,
    FileDifference,
)
from smalti.compare.documents import compare_documents
from smalti.compare.elements import HeldElements, StoredElements, spelled
from smalti.compare.inside import is_readable, read_inside
from smalti.compare.physics import POSITIONS, pixel_note, positions_note
from smalti.compare.tables import about_table, compare_tables
from smalti.compare.texts import MOST_TEXT_NBYTES, compare_bytes
from smalti.compare.weights import compare_weights
from smalti.errors import NotFound, Refused, SmaltiError
from smalti.notebook import readable
from smalti.store.long_work import OnProgress, Progress

if TYPE_CHECKING:
    from smalti.store import Change, Record, Ref, Store
    from smalti.store.read.reader import Reader

_MOST_READ = 500  # values whose content is compared


def compare(
    store: Store,
    before: Ref | str,
    after: Ref | str,
    *,
    key: str | Sequence[str] = (),
    progress: OnProgress | None = None,
) -> Comparison:
    """Compare two values: what was added, removed and changed, and how the content of what changed differs.

    Only what differs is read, a piece at a time; of values that hold very many, the content of the first 500 that
    differ, and the notes of the others say so.

    Args:
        before, after: names, digests or unique prefixes, as everywhere.
        key: of tables, the columns that say which rows correspond; by default they are looked for, see
            :func:`smalti.compare.rows.match_rows`.

    Raises:
        NotFound, Ambiguous: a reference fits nothing, or several things; no table that differs has the key.
        Refused: the key is of types that cannot be held against each other.
        Damaged: a record is not what was written. Content that cannot be read is said in the notes.
    """
    return _Comparing(store, (key,) if isinstance(key, str) else tuple(key)).all(before, after, progress)


def described(record: Record) -> str:
    """Return what an object is, and its size: ``array float32 (961, 64, 64), 15.7 MB``."""
    header: Mapping[str, Any] = record.header
    if record.kind == "array":
        dtype = header["dtype"] if header["dtype"] == "bfloat16" else spelled(_dtype(header))
        shape = ", ".join(map(str, header["shape"])) + ("," if len(header["shape"]) == 1 else "")
        what = f"scalar {dtype}" if header.get("scalar") else f"array {dtype} ({shape})"
    elif record.kind == "table":
        what = f"table of {header['rows']} rows, {len(header['columns'])} columns"
    elif record.kind == "weights":
        what = f"weights, {len(header['tensors'])} tensors"
    else:
        what = str(header.get("type") or record.kind)
        if record.kind == "tree" and not header.get("type"):
            what = f"tree of {len(record.children)} children" if record.children else "document"
    return f"{what}, {readable(record.nbytes)}"


def _dtype(header: Mapping[str, Any]) -> Any:
    from smalti.codecs.dtype import dtype_of

    return dtype_of(header["dtype"])


class _Comparing:
    def __init__(self, store: Store, key: tuple[str, ...]) -> None:
        self._store = store
        self._key = key
        self._key_used = False
        self._key_error: SmaltiError | None = None
        self._known: dict[tuple[str, str, str], tuple[Content | None, tuple[str, ...]]] = {}

    def all(self, before: Ref | str, after: Ref | str, progress: OnProgress | None) -> Comparison:
        found = self._store.diff(before, after)
        old, new = (self._store.record(address) for address in (found.before, found.after))
        differences = []
        nbytes = 0
        for number, change in enumerate(found.changes):
            differences.append(self._difference(change, reads=number < _MOST_READ, root=(old, new)))
            if progress:
                nbytes += self._store.record(change.after or change.before or "").nbytes if change.path else 0
                progress(Progress(number + 1, len(found.changes), nbytes))
        if self._key and not self._key_used and found.before != found.after:
            names = ", ".join(self._key)
            raise self._key_error or NotFound(f"no table differs, so that none is matched by {names}; leave it out.")
        notes = dict(self._physical(old, new, [change.path for change in found.changes]))
        return Comparison(
            found.before, found.after, self._what(old, new), tuple(_with_notes(differences, notes)), found.same
        )

    def _difference(self, change: Change, reads: bool, root: tuple[Record, Record]) -> Difference:
        if change.before is None or change.after is None:
            record = self._store.record(change.after or change.before or "")
            happened = ("added", "removed")[change.after is None]
            return Difference(change.path, happened, described(record), change.before, change.after)  # type: ignore[arg-type]
        old, new = self._store.record(change.before), self._store.record(change.after)
        name = _file_name(change.path, root)
        seen = (change.before, change.after, name if old.kind == "bytes" else "")
        if seen not in self._known:
            if not reads:
                note = f"its content was not compared: more than {_MOST_READ} values differ"
                self._known[seen] = None, (note,)
            else:
                self._known[seen] = self._content(change, old, new, name)
        content, notes = self._known[seen]
        what = self._what(old, new)
        return Difference(change.path, "changed", what, change.before, change.after, content, notes)

    @staticmethod
    def _what(old: Record, new: Record) -> str:
        one, other = described(old), described(new)
        forms = [(each.kind, each.header.get("type"), each.header.get("scalar")) for each in (old, new)]
        same = forms[0] == forms[1]
        return other if same or one == other else f"{one} -> {other}"

    def _content(self, change: Change, old: Record, new: Record, name: str) -> tuple[Content | None, tuple[str, ...]]:
        if old.kind != new.kind:
            return None, ("the kinds differ, so the content was not compared",)
        try:
            return self._of_one_kind(change, old, new, name)
        except (SmaltiError, MemoryError) as error:
            if self._key and isinstance(error, NotFound | Refused) and not change.path:
                raise
            return None, (f"its content could not be compared: {error}",)

    def _of_one_kind(
        self, change: Change, old: Record, new: Record, name: str
    ) -> tuple[Content | None, tuple[str, ...]]:
        store = self._store
        if old.kind == "tree":
            return compare_documents(old.header.get("attrs", {}), new.header.get("attrs", {})), ()
        if old.kind == "table":
            return self._tables(store.open(old.address), store.open(new.address), old, new)
        readers = store.reader(old.address), store.reader(new.address)
        if old.kind == "bytes":
            return self._bytes(*readers, name)
        if old.kind == "array":
            one, other = (StoredElements(reader, reader.record.header) for reader in readers)
            return compare_arrays(one, other, change.content.rows if change.content else None), ()
        if old.kind == "weights":
            return compare_weights(*readers, change.content.tensors if change.content else ()), ()
        return compare_documents(old.header["value"], new.header["value"]), ()

    def _bytes(self, before: Reader, after: Reader, name: str) -> tuple[Content | None, tuple[str, ...]]:
        if name.lower().endswith(".json") and max(before.record.nbytes, after.record.nbytes) <= MOST_TEXT_NBYTES:
            document = _json_difference(bytes(before.read()), bytes(after.read()))
            if document:
                return document, () if document.changes else ("the JSON is the same, spelled in another way",)
        inside = self._inside(before.record, after.record, name) if is_readable(name) else None
        return inside or compare_bytes(before, after), ()

    def _tables(self, before: Table, after: Table, old: Record, new: Record) -> tuple[Content | None, tuple[str, ...]]:
        about = about_table(old.header), about_table(new.header)
        try:
            found = compare_tables(before, after, self._key, about)
            self._key_used = bool(self._key)
            return found, ()
        except (NotFound, Refused) as error:
            if not self._key:
                raise
            self._key_error = error
        return compare_tables(before, after, (), about), (f"the key was not used: {self._key_error}",)

    def _inside(self, old: Record, new: Record, name: str) -> FileDifference | None:
        one, other = (read_inside(self._store, record.address, name) for record in (old, new))
        if one is None or other is None:
            return None
        sizes = old.nbytes, new.nbytes
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            inside = tuple(_arrays_inside(one, other))
            return FileDifference(
                name,
                sizes,
                inside,
                len(one.keys() & other.keys()) - sum(difference.happened == "changed" for difference in inside),
            )
        if isinstance(one, Mapping) or isinstance(other, Mapping):
            return None
        content, notes = self._tables(one, other, old, new)
        return FileDifference(name, sizes, (Difference("", "changed", "table", content=content, notes=notes),))

    def _physical(self, old: Record, new: Record, paths: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield for each scan, reconstruction or product that differs its path, and what that means physically."""
        if old.kind != "tree" or new.kind != "tree":
            return
        leaves = {name for names in POSITIONS.values() for name in names}
        holders = {path.rpartition("/")[0] for path in paths if path.rpartition("/")[2] in leaves}
        for path in sorted({"", *paths, *holders}):
            one, other = self._at(old, path), self._at(new, path)
            if one is None or other is None or one.kind != "tree" or str(one.header.get("type")) not in POSITIONS:
                continue
            try:
                planes = self._plane(one), self._plane(other)
                notes = (positions_note(one, other, self._store.get, planes[0]), pixel_note(one, other, planes))
            except (SmaltiError, TypeError, ValueError) as error:  # a foreign tree may hold anything under these names
                notes = (f"the positions could not be compared: {error}", "")
            if any(notes):
                yield path, tuple(filter(None, notes))

    def _at(self, record: Record, path: str) -> Record | None:
        """Return the record of the child at a path, whose names may hold slashes themselves."""
        while path:
            name = next((n for n in record.children if path == n or path.startswith(f"{n}/")), None)
            if name is None:
                return None
            record, path = self._store.record(record.children[name]), path[len(name) + 1 :]
        return record

    def _plane(self, record: Record) -> tuple[int, int] | None:
        address = record.children.get("diffraction")
        shape: Any = self._store.record(address).header.get("shape") if address else None
        return (shape[1], shape[2]) if shape and len(shape) == 3 else None


def _with_notes(differences: Sequence[Difference], notes: Mapping[str, tuple[str, ...]]) -> Iterator[Difference]:
    """Yield the differences with the notes on trees, and a difference of its own for each note that has none."""
    from dataclasses import replace

    paths = {difference.path for difference in differences}
    extra = [Difference(path, "changed", "", notes=some) for path, some in notes.items() if path not in paths]
    for difference in sorted([*differences, *extra], key=lambda difference: difference.path):
        more = notes.get(difference.path, ()) if difference.path in paths else ()
        yield replace(difference, notes=(*difference.notes, *more))


def _arrays_inside(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        array = after.get(name, before.get(name))
        what = f"array {spelled(array.dtype)} {array.shape}"
        if name not in after or name not in before:
            yield Difference(name, "added" if name in after else "removed", what)
            continue
        found = compare_arrays(HeldElements(before[name]), HeldElements(after[name]))
        same = found.dtypes[0] == found.dtypes[1] and found.shapes[0] == found.shapes[1]
        if not (same and not found.ranges and found.elements and not found.elements.spelling):
            yield Difference(name, "changed", what, content=found)


def _json_difference(before: bytes, after: bytes) -> DocumentDifference | None:
    """Return where two JSON files differ; None where one is none that a store could hold."""
    try:
        return compare_documents(*(canonical.normalise(json.loads(content)) for content in (before, after)))
    except (ValueError, RecursionError, SmaltiError):
        return None


def _file_name(path: str, root: tuple[Record, Record]) -> str:
    """Return what a file is called that lies at a path; the content of a raw file has its name in the tree above."""
    last = path.rpartition("/")[2]
    if path == "content" and root[1].header.get("type") == "raw":
        attrs: Any = root[1].header.get("attrs", {})
        return str(attrs.get("filename", ""))
    return last
