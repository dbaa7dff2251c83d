"""The pointer file ``NAME.smalti`` beside a file or folder: what git keeps in place of the content.

Five lines of ``field: value``, which is YAML too. Equal content gives equal bytes: no time, no host, no user is in it.

    format: 1
    kind: folder
    digest: sha256:0a5cba95a18b1a314d1765936f2fb9bde978c612ed811fc39ea7a068890e59ef
    files: 10000
    nbytes: 33816576
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from smalti.digest import is_address
from smalti.errors import NotFound, Refused
from smalti.store.commit import machine_errors
from smalti.tracking.work_file import replace_file

SUFFIX = ".smalti"
FORMAT = 1
_KINDS = ("file", "executable", "folder")
_MOST_NBYTES = 4096
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_UNSEARCHED = {".git", ".smalti", ".dvc", ".venv", "node_modules"}


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a tracked path holds.

    Attributes:
        kind: ``file``, ``executable`` (a file that may be executed) or ``folder``.
        digest: the address of its value: bytes, or a tree of the type ``folder``.
        files: number of files, however deep; 1 for a file.
        nbytes: size of all of them together.
    """

    kind: str
    digest: str
    files: int
    nbytes: int

    def dump(self) -> bytes:
        """Return the content of the pointer file."""
        fields = {"format": FORMAT, **{name: getattr(self, name) for name in self.__slots__}}
        return "".join(f"{name}: {value}\n" for name, value in fields.items()).encode()


def parse(content: bytes, where: str) -> Pointer:
    """Return the pointer that a file holds; line ends of Windows are as good.

    Raises:
        Refused: it holds a merge conflict, or anything else than a pointer of this format.
    """
    text = content.decode("utf-8", "replace").replace("\r\n", "\n")
    if re.search(r"^(<{7}|={7}|>{7})", text, re.MULTILINE):
        raise Refused(f"{where} holds a merge conflict; keep the lines of one side, then: smalti checkout.")
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    if fields.get("format", str(FORMAT)) != str(FORMAT):
        raise Refused(f"{where} has the format {fields['format']!r}; this version of Smalti reads {FORMAT}.")
    files, nbytes = fields.get("files", ""), fields.get("nbytes", "")
    if is_address(digest := fields.get("digest", "")) and _NUMBER.fullmatch(files) and _NUMBER.fullmatch(nbytes):
        pointer = Pointer(fields.get("kind", ""), digest, int(files), int(nbytes))
        if pointer.kind in _KINDS and pointer.dump() == text.encode():
            return pointer
    raise Refused(f"{where} is no pointer file: restore it from git, or put the data again: smalti put.")


def pointer_path(path: Path) -> Path:
    """Return where the pointer of a path is, or would be."""
    return path.with_name(path.name + SUFFIX)


def data_path(path: Path) -> Path:
    """Return the path that is tracked, given it or its pointer file."""
    name = path.name.removesuffix(SUFFIX)
    if name != path.name and _is_trackable(name) and path.is_file():
        return path.with_name(name)
    return path


def is_tracked(path: Path) -> bool:
    """Tell whether a path, or the pointer file that was given in its place, is tracked."""
    return _is_trackable(path.name) and pointer_path(data_path(path)).is_file()


def check_trackable(folder: Path, name: str) -> None:
    """Make sure that there may be a pointer for what has this name in a folder.

    Raises:
        Refused: it would write outside of the folder, or into git's own.
    """
    if not _is_trackable(name):
        raise Refused(
            f"{folder / (name + SUFFIX)} cannot be a pointer file, because {name!r} is git's own or outside; remove it."
        )


def _is_trackable(name: str) -> bool:
    """Tell whether a path of this name stays in its folder, and is no repository: git's settings name programs."""
    return name not in ("", ".", "..") and name.casefold() != ".git"


def read(path: Path) -> Pointer:
    """Return the pointer of a path.

    Raises:
        NotFound: it has none.
        Refused: the file is no pointer, or the path is none that a pointer may be for.
    """
    check_trackable(path.parent, path.name)
    pointer = pointer_path(path)
    with machine_errors(f"reading {pointer}"):
        try:
            with pointer.open("rb") as file:
                return parse(file.read(_MOST_NBYTES), str(pointer))
        except FileNotFoundError:
            raise NotFound(f"{path} is not tracked: there is no {pointer}; track it: smalti put {path}.") from None


def write(path: Path, pointer: Pointer) -> bool:
    """Write the pointer of a path, whole, in one step; return False when it is there already.

    Raises:
        Refused: the path is none that a pointer may be for.
    """
    check_trackable(path.parent, path.name)
    with suppress(NotFound, Refused):
        if read(path) == pointer:
            return False
    replace_file(pointer_path(path), pointer.dump())
    return True


def tracked_below(folder: Path, but: Path | None = None) -> Iterator[Path]:
    """Yield every tracked path below a folder, in order; links are not followed, tracked folders not searched.

    Args:
        but: a folder that is not searched, either: the store.

    Raises:
        Refused: a pointer file is for what lies outside of its folder, or for a repository of git.
        Unavailable: a folder may not be read.
    """

    def fail(error: OSError) -> None:
        raise error

    with machine_errors(f"looking for pointer files in {folder}"):
        for at, folders, files in os.walk(folder, onerror=fail):
            names = {name.removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX) and name != SUFFIX}
            for name in names:
                check_trackable(Path(at), name)
            yield from (Path(at, name) for name in sorted(names))
            left_out = names | _UNSEARCHED
            folders[:] = sorted(name for name in folders if name not in left_out and Path(at, name) != but)
