"""A folder of files as it lay on a disk, and the tree it is stored as: one child per file or folder in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smalti.canonical import Json
from smalti.store.values import Ref, Tree


@dataclass(frozen=True, eq=False, slots=True)
class Folder:
    """Names and content; no times, no owners, no modes but whether a file is executable.

    Attributes:
        entries: name -> the bytes of a file, or another ``Folder``. A ``Ref`` to either will do when storing.
        executable: names of the files that may be executed.
    """

    entries: Mapping[str, Any]
    executable: frozenset[str] = frozenset()

    def _repr_html_(self) -> str:
        from smalti.notebook import shown

        return shown(self)


class FolderCodec:
    """Folder <-> tree; a file that lies in several folders is stored once.

    The tree says which of its children are folders, so that they can be listed without a look at every file.
    """

    type_name = "folder"
    python_type = Folder

    def to_tree(self, folder: Folder) -> Tree:
        folders = [name for name, entry in folder.entries.items() if _is_folder(entry)]
        attrs: dict[str, Json] = {}
        if folders:
            attrs["folders"] = [*sorted(folders)]
        if folder.executable:
            attrs["executable"] = [*sorted(folder.executable)]
        return Tree(folder.entries, attrs, self.type_name)

    def from_tree(self, tree: Tree) -> Folder:
        return Folder(tree.children, frozenset(tree.attrs.get("executable", ())))


def _is_folder(entry: Any) -> bool:
    return isinstance(entry, Folder) or (isinstance(entry, Ref) and entry.kind == "tree")
