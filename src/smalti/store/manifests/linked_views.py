"""Views of runs in a folder: relative symbolic links to manifests and to the ordinary files of values."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from smalti.digest import PREFIX
from smalti.errors import SmaltiError
from smalti.store.backends.local.backend import LocalBackend
from smalti.store.commit import unique_name
from smalti.store.documents import Documents
from smalti.store.format import record as records
from smalti.store.manifests.manifest import Manifest
from smalti.store.manifests.small_files import SmallFiles
from smalti.store.manifests.views import (
    FOLDER,
    MANIFEST,
    ListedViews,
    is_listed,
    listed,
    places_of,
    safe_part,
    values_of,
)
from smalti.store.read.assembly import load_record

TREE = "@tree.json"  # beside the children of a tree: its record, which names them all; no child is called so
_MOST_CHILDREN = 100
_MOST_LEVELS = 3
_MOST_LINKS = 2000  # of one run in one view
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


@dataclass(frozen=True, slots=True)
class _Links:
    """What shows a run, path -> key; two that a file system which ignores case takes for one are told apart."""

    keys: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def add(self, path: str, key: str, digits: str = "") -> None:
        """Add a link, unless there are very many."""
        if path.casefold() in self.taken:
            path = f"{path}%{digits[:8]}"
        if len(self.keys) < _MOST_LINKS:
            self.taken.add(path.casefold())
            self.keys[path] = key


class LinkedViews:
    """Entries that are links; where the file system has none, JSON documents.

    A value with a file of its own leads to that, called by its name and the ending of the file. A tree is a folder of
    such links, of up to 100 children and three levels, and one to its record. A small value lies in its record, which
    its link leads to. A near-duplicate has no file that a tool could open, so its link leads to its folder. A value
    that is not there any more has no link.
    """

    def __init__(self, backend: LocalBackend, symlink: Callable[[str, str], None] = os.symlink) -> None:
        self._backend = backend
        self._root = backend.root
        self._symlink = symlink
        self._small = SmallFiles(backend)

    def entries(self, manifest: Manifest, key: str) -> dict[str, str]:
        """Return path -> the text of the link."""
        if not manifest.views:
            return {}
        if not self._has_links:
            return listed(manifest)
        links = _Links()
        links.add(MANIFEST, key)
        for folder, name, address in values_of(manifest):
            self._lead(links, f"{folder}/{name}", address, _MOST_LEVELS)
        found = {}
        for place in places_of(manifest):
            for path, target in links.keys.items():
                entry = f"{place}/{path}"
                found[entry] = "../" * (entry.count("/") + 1) + target
        return found

    def add(self, entries: Mapping[str, str]) -> None:
        """Make links."""
        if not self._has_links:
            ListedViews(Documents(self._backend)).add(entries)
            return
        for path, target in entries.items():
            self._small.make(target)
            self._link(f"{self._root}/{FOLDER}{path}", target)

    @cached_property
    def _has_links(self) -> bool:
        """Whether the file system has symbolic links."""
        trial = f"{self._root}/{unique_name()}"
        try:
            self._symlink("trial", trial)
        except OSError as error:
            return error.errno not in _NO_LINKS
        os.unlink(trial)  # noqa: PTH108
        return True

    def there(self) -> dict[str, str]:
        """Return path -> the text of the link, "" where the copy that it leads to is missing; or the document."""
        found = {}
        base = f"{self._root}/{FOLDER}"
        for folder, folders, files in os.walk(base):
            for name in (*folders, *files):
                path = f"{folder}/{name}"
                if os.path.islink(path):  # noqa: PTH114, for every entry
                    target = os.readlink(path)  # noqa: PTH115
                    found[os.path.relpath(path, base)] = "" if self._small.is_missing(target) else target
                elif name.endswith(".json") and name in files and is_listed(content := Path(path).read_bytes()):
                    found[os.path.relpath(path, base)] = content.decode()
        return found

    def sweep(self) -> None:
        """Remove the copies of values that are not there any more."""
        self._small.sweep()

    def remove(self, path: str) -> None:
        """Remove a link."""
        base = self._root / FOLDER
        (base / path).unlink(missing_ok=True)
        for folder in (base / path).parents:
            if folder == base:
                return
            try:
                folder.rmdir()
            except OSError:  # something is left in it
                return

    def _lead(self, links: _Links, path: str, address: str, levels: int) -> None:
        """Add what shows one value."""
        digits = address.removeprefix(PREFIX)
        key = f"data/{digits[:2]}/{digits}"
        try:
            names = os.listdir(f"{self._root}/{key}")  # noqa: PTH208, for every value
        except OSError:
            return  # not there, or not any more
        if own := next((name for name in names if name.startswith("data.")), None):
            ending = own.removeprefix("data")
            links.add(path if path.endswith(ending) else path + ending, f"{key}/{own}", digits)
        elif names != [records.METADATA]:
            links.add(path, key, digits)
        else:
            with suppress(SmaltiError):  # fsck says so; here it has no link
                record = load_record(self._backend, address)
                if record.kind != "tree":
                    small = self._small.key(record)
                    ending = record.ending if small else ".json"
                    shown = path if path.endswith(ending) else path + ending
                    links.add(shown, small or f"{key}/{records.METADATA}", digits)
                elif not levels:
                    links.add(path, key, digits)
                else:
                    links.add(f"{path}/{TREE}", f"{key}/{records.METADATA}", digits)
                    for name, child in sorted(record.children.items())[:_MOST_CHILDREN]:
                        self._lead(links, f"{path}/{safe_part(name)}", child, levels - 1)

    def _link(self, path: str, target: str) -> None:
        try:
            self._symlink(target, path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
            self._link(path, target)
        except FileExistsError:
            with suppress(OSError):
                if os.readlink(path) == target:  # noqa: PTH115
                    return
            self._replace(path, lambda beside: self._symlink(target, beside))

    def _replace(self, path: str, make: Callable[[str], None]) -> None:
        beside = f"{path}.{unique_name()}"
        make(beside)
        try:
            os.replace(beside, path)  # noqa: PTH105
        except OSError:
            os.unlink(beside)  # noqa: PTH108
            raise
