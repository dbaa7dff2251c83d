"""What a tracked path consists of, path by path: in the store, on the disk, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from smalti.errors import Refused
from smalti.store import Record, Store
from smalti.tracking.pointer import Pointer
from smalti.tracking.scan import check_name

FOLDER_TYPE = "folder"
_MOST_FOLDERS = 1_000_000


class Entry(NamedTuple):
    """A file, or a folder, whose address is "" because it is what lies in it."""

    address: str
    executable: bool = False


A_FOLDER = Entry("")
Contents = Mapping[str, Entry]  # path relative to the tracked one, with "/" -> entry; the tracked one itself is ""


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs, as relative paths in order; folders count where they are added or removed."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def changes(before: Contents, after: Contents) -> Changes:
    """Return what differs between two contents."""
    return Changes(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(path for path, entry in after.items() if before.get(path, entry) != entry)),
    )


def stored_contents(store: Store, digest: str, executable: bool = False, files: int | None = None) -> dict[str, Entry]:
    """Return what a stored file or folder consists of, from the records of its folders alone.

    Args:
        executable: of a file, whether it may be executed.
        files: how many there have to be, where that is known.

    Raises:
        NotFound: it is not in the store.
        Refused: it is another kind of value, an entry has a name that could lead out of the folder, or there are more.
    """
    record = store.record(digest)
    if record.kind == "bytes":
        return {"": Entry(digest, executable)}
    contents: dict[str, Entry] = {}
    found = folders_found = 0
    waiting = [("", record)]
    while waiting:
        folder, record = waiting.pop()
        contents[folder] = A_FOLDER
        folders, executables = _checked(record, digest)
        for name, address in record.children.items():
            path = f"{folder}/{name}" if folder else name
            if name in folders:
                waiting.append((path, store.record(address)))
            else:
                contents[path] = Entry(address, name in executables)
        found, folders_found = found + len(record.children) - len(folders), folders_found + 1
        if folders_found > _MOST_FOLDERS or (files is not None and found > files):  # a folder may name another twice
            raise Refused(f"{digest} holds more than {_MOST_FOLDERS} folders or {files} files; restore its pointer.")
    return contents


def pointed_contents(store: Store, pointer: Pointer) -> dict[str, Entry]:
    """Return what a pointer refers to.

    Raises:
        NotFound: it is not in the store.
        Refused: it is something else than the pointer says.
    """
    contents = stored_contents(store, pointer.digest, pointer.kind == "executable", pointer.files)
    files = sum(bool(entry.address) for entry in contents.values())
    if (contents[""] == A_FOLDER) != (pointer.kind == "folder") or files != pointer.files:
        what = "folder" if contents[""] == A_FOLDER else "file"
        raise Refused(
            f"{pointer.digest} is a {what} with {files} files, but its pointer says {pointer.kind} and "
            f"{pointer.files}; restore the pointer from git."
        )
    return contents


def _checked(record: Record, digest: str) -> tuple[set[str], set[str]]:
    """Return which children of a folder's record are folders, and which are executable."""
    attrs = record.header.get("attrs", {})
    if record.header.get("type") != FOLDER_TYPE or not isinstance(attrs, dict):
        what = record.header.get("type") or record.kind
        raise Refused(
            f"{record.address} in {digest} is a {what} and no folder of files; write it: smalti get {digest}."
        )
    for name in record.children:
        check_name(name, record.address)
    folders, executables = (attrs.get(name, []) for name in ("folders", "executable"))
    if not isinstance(folders, list) or not isinstance(executables, list):
        raise Refused(f"{record.address} in {digest} does not list its folders; put the folder again.")
    return {str(name) for name in folders}, {str(name) for name in executables}
