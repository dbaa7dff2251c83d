"""Read-only views of stored values, where people look for files: ``data/processed/<name>/``, ``data/interim/<name>/``.

    <name>/<name>.arrow, ...   the files of the value; of a tree, its children as files and folders
    <name>/card.yaml           where the data came from, its licence, what is known of its quality
    <name>/README.md           the card, the version and the processing steps, to be read
    <name>/view.json           the same for programs, with the digest of the value and of every file

A file is a hard link to the one in the store where that is a whole file on the same file system, else a copy. Both are
read-only. That keeps programs and people from changing a file by mistake, and not the owner or root who makes it
writable first: through a hard link that changes the stored bytes too. Every read of the store notices, and
``smalti fsck`` names the value.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from smalti.codecs.own_files import write_value
from smalti.contracts.markdown import plain
from smalti.contracts.violation import shown
from smalti.datasets.external.listing import files_below
from smalti.datasets.external.names import checked_name
from smalti.errors import Damaged, NotFound, Refused
from smalti.formats.regular_file import sha256_of
from smalti.settings import Settings
from smalti.store import Record, Ref, Store
from smalti.store.commit import alone, exchange_folders, machine_errors, make_folder, move_folder, sync, sync_together

VIEW, CARD, README = "view.json", "card.yaml", "README.md"

_FORMAT = 1
_READ_ONLY = 0o444
_CANNOT_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS, errno.EACCES}


def publish(
    store: Store,
    ref: Ref | str,
    folder: Path,
    name: str,
    *,
    card: Mapping[str, Any],
    steps: Sequence[str],
    version: str,
) -> Path:
    """Return the folder ``<folder>/<name>`` with the files of a stored value, which is made or brought up to date.

    It appears whole, in one step, in the place of an earlier view. The same again changes nothing.

    Args:
        folder: such as ``Settings().processed`` or ``Settings().interim``.
        name: letters, digits, dots, hyphens and underscores.
        card: source, licence and all else that is known of the data: what YAML can hold.
        steps: what was done to the data, in order, each in one line.
        version: of the data or of what was done to it.

    Raises:
        Refused: the folder holds files that no view has put there, or is one that is never written to; a child of the
            tree has a name that no file here can have; the card holds what YAML cannot.
        NotFound, Ambiguous: the reference fits nothing, or several things.
        Damaged: the stored bytes are not what was stored.
        Unavailable: the machine did not let it be written; what was there is there still.
    """
    target = folder / checked_name(name)
    _require_may_be_written(folder, store)
    record = store.record(ref)
    documents = _documents(name, record, card, steps, version)
    about = {
        "format": _FORMAT,
        "name": name,
        "digest": record.address,
        "kind": str(record.header.get("type") or record.kind),
        "version": version,
        "steps": list(steps),
    }
    with machine_errors(f"publishing {name} in {folder}"):
        make_folder(folder)
        with alone(folder / ".publishing.lock"):
            for left in folder.glob(".publishing-*"):  # by one that died
                shutil.rmtree(left)
            earlier = _earlier(target)
            if earlier is not None:
                _require_nothing_else(target, earlier, _inodes(store, earlier))
                if _says_the_same(target, earlier, about, documents):
                    return target
            staged = folder / f".publishing-{uuid.uuid4().hex}"
            try:
                _build(store, record, staged, about, documents)
                if earlier is None:
                    move_folder(staged, target)
                else:
                    exchange_folders(staged, target)
                    if added := _added(staged, earlier):  # while this was at work
                        exchange_folders(staged, target)
                        raise _not_ours(target, added[0])
                sync(folder)
            finally:
                shutil.rmtree(staged, ignore_errors=True)  # what did not become the view, or what was it before
    return target


def _require_may_be_written(folder: Path, store: Store) -> None:
    where = folder.resolve()
    for kept in (Settings().raw, Path(store.place)):
        if where.is_relative_to(kept.resolve()):
            raise Refused(f"{folder} is never written to by a view; publish in data/processed or data/interim.")


def _documents(
    name: str, record: Record, card: Mapping[str, Any], steps: Sequence[str], version: str
) -> dict[str, bytes]:
    try:
        text = yaml.safe_dump(dict(card), sort_keys=False, allow_unicode=True)
    except yaml.YAMLError as error:
        raise Refused(f"the card of {name} holds what YAML cannot; give texts, numbers, lists, mappings.") from error
    done = "\n".join(f"{number}. {plain(step)}" for number, step in enumerate(steps, 1)) or "None."
    indented = (
        "".join(f"    {line}\n" for line in text.splitlines()) if card else "None: source and licence are not stated.\n"
    )
    page = (
        f"# {name}\n\n"
        f"Version: {plain(version)}. A stored {record.header.get('type') or record.kind}: "
        f"`smalti show {record.address}`.\n\n"
        "Read only: these files may share their bytes with the store. To have some to work with: "
        f"`smalti get {record.address}`.\n\n"
        f"## Processing steps\n\n{done}\n\n## Card\n\n{indented}"
    )
    return {CARD: text.encode(), README: page.encode()}


def _earlier(target: Path) -> dict[str, Any] | None:
    """Return what the view that is there says of itself; None where there is nothing."""
    if not os.path.lexists(target):
        return None
    if target.is_dir() and not target.is_symlink():
        if not any(target.iterdir()):
            target.rmdir()
            return None
        try:
            view = json.loads((target / VIEW).read_bytes())
            if view["format"] == _FORMAT and isinstance(view["files"], dict):
                return dict(view)
        except (OSError, ValueError, TypeError, KeyError):  # another's folder, or another's view.json
            pass
    raise Refused(f"{target} is there and is no view of a stored value; move it away, or choose another name.")


def _added(target: Path, view: dict[str, Any]) -> list[str]:
    return sorted({name for name, _ in files_below(target)} - view["files"].keys() - {VIEW})


def _not_ours(target: Path, name: str) -> Refused:
    return Refused(f"{target} holds {shown(name)}, which no view has put there; move it away first.")


def _inodes(store: Store, view: dict[str, Any]) -> set[tuple[int, int]]:
    """Return which files of the store a view may be linked to."""
    found, wanted = set(), [str(view["digest"])]
    while wanted:
        with suppress(NotFound, Damaged):  # it has been collected, or is no help
            record = store.record(wanted.pop())
            wanted.extend(record.children.values())
            if (whole := store.file(record.address)) is not None:
                status = whole.stat()
                found.add((status.st_dev, status.st_ino))
    return found


def _require_nothing_else(target: Path, view: dict[str, Any], linked: set[tuple[int, int]]) -> None:
    found, listed = dict(files_below(target)), view["files"]
    if added := _added(target, view):
        raise _not_ours(target, added[0])
    for name in sorted(found.keys() & listed.keys()):
        status, wanted = found[name], listed[name]
        if (status.st_dev, status.st_ino) in linked:
            continue
        if status.st_size != wanted["nbytes"] or sha256_of(target / name) != wanted["sha256"]:
            raise Refused(
                f"{target / shown(name)} was changed since it was published; move it away if you need it, "
                "else remove it."
            )


def _says_the_same(
    target: Path, view: dict[str, Any], about: Mapping[str, Any], documents: Mapping[str, bytes]
) -> bool:
    is_whole = view["files"].keys() <= {name for name, _ in files_below(target)}
    has_documents = is_whole and all((target / name).read_bytes() == documents[name] for name in documents)
    return has_documents and {key: value for key, value in view.items() if key != "files"} == about


def _build(
    store: Store, record: Record, staged: Path, about: Mapping[str, Any], documents: Mapping[str, bytes]
) -> None:
    linked: set[str] = set()

    def write(address: str, path: Path) -> None:
        whole = store.file(address)
        if whole is not None and _linked(whole, path):
            linked.add(address)
        else:
            store.write_file(address, path)

    if record.kind == "tree":
        write_value(store, record.address, staged, write)
    else:
        staged.mkdir()
        write_value(store, record.address, staged / f"{about['name']}{record.ending}", write)
    for problem in store.verify(store, sorted(linked)).problems if linked else ():
        raise Damaged(problem.what)
    for name in (VIEW, CARD, README):
        if os.path.lexists(staged / name):
            raise Refused(f"the child {name!r} has the name of a file of the view; read it in Python with store.get.")
    for name, content in documents.items():
        (staged / name).write_bytes(content)
    files = {name: _described(staged / name) for name, _ in sorted(files_below(staged))}
    (staged / VIEW).write_text(json.dumps({**about, "files": files}, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (staged / VIEW).chmod(_READ_ONLY)
    sync_together([staged, *(path for path in staged.rglob("*"))])


def _described(path: Path) -> dict[str, Any]:
    status = path.stat()
    if status.st_mode & 0o222:  # one of the store is read-only already, and is left alone
        path.chmod(_READ_ONLY)
    with path.open("rb") as file:
        return {"nbytes": status.st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _linked(whole: Path, path: Path) -> bool:
    try:
        path.hardlink_to(whole)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        return False
    return True
