"""A folder of outputs for people, on disk: composed of parts, each replaced by newer outputs of its own asset only."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smalti.canonical import loads
from smalti.errors import Refused
from smalti.ingest.keys import file_key
from smalti.outputs.parts import (
    LOG,
    OLDER,
    PARAMETERS,
    Part,
    Written,
    composed,
    current,
    json_bytes,
    written,
)
from smalti.store.commit import alone, exchange_folders, machine_errors, make_folder, sync, write_file

REMEMBERED = ".parts.json"  # what each part of a folder is, and which files belong to it
PAGE = "index.html"  # of the gallery, beside the output folders
_FORMAT = 1
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Contents:
    """What an output folder holds.

    Attributes:
        of: what has the name, ``scan`` or ``dataset``.
        name: of what it holds the outputs.
        parts: by name, in the order in which they were first written.
    """

    of: str
    name: str
    parts: dict[str, Written] = field(default_factory=dict)

    def current(self) -> dict[str, Written]:
        """Return the parts that belong together, see :func:`smalti.outputs.parts.current`."""
        kept = current(self.parts)
        return {name: part for name, part in self.parts.items() if name in kept}

    def places(self) -> dict[str, tuple[str, str]]:
        """Return where each file of a part lies in the folder: place -> (part, path)."""
        kept = current(self.parts)
        return {
            path if name in kept else f"{OLDER}/{path}": (name, path)
            for name, part in self.parts.items()
            for path in part.files
        }

    def shared(self) -> dict[str, bytes]:
        """Return the composed files: of the parts that belong together, and below ``older/`` of the others."""
        kept = self.current()
        older = [part for name, part in self.parts.items() if name not in kept]
        files = composed(self.of, self.name, kept.values())
        if older:
            files |= {f"{OLDER}/{path}": data for path, data in composed(self.of, self.name, older).items()}
        return files

    def to_bytes(self) -> bytes:
        """Return what the folder remembers of its parts."""
        parts = [part.to_json() for part in self.parts.values()]
        return json_bytes({"format": _FORMAT, "of": self.of, "name": self.name, "parts": parts})


def write_parts(folder: Path, of: str, name: str, parts: Sequence[Part], before_parts: Collection[str] = ()) -> Path:
    """Write parts of ``folder/<key>/`` and return that path; a reader sees all of the new ones or none.

    Other parts and files of other people stay. Parts that were made from other versions than the folder now shows are
    moved to ``older/`` in it, and back when they belong to the rest again. The new folder is made beside the old one,
    of links to what stays, and takes its place in one step, where the file system can do that.

    Args:
        folder: the folder of all outputs.
        of: what has the name, ``scan`` or ``dataset``: the field of ``params.json`` that holds it.
        name: any text; :func:`folder_key` of it names the folder.
        parts: those to be written.
        before_parts: names at the top of a folder that was written before folders had parts; they are replaced.

    Raises:
        Refused: the place is taken by the outputs of something else, or a file of others has the name of an output.
        Unavailable: the disk is full, or may not be written.
    """
    key = folder_key(name)
    made, target = folder / f".{key}.part", folder / key
    if key.lower() == PAGE:
        raise Refused(f"the outputs of {of} {name!r} would take the place of {target}, the gallery; rename the {of}.")
    with machine_errors(f"writing {target}"):
        make_folder(folder)
        with alone(folder / ".lock"):
            old, owned = _found(target, of, name, before_parts)
            new = _with(old, parts)
            shutil.rmtree(made, ignore_errors=True)  # left by a writer that was killed
            _build(
                made,
                target,
                owned,
                old,
                new,
                {(part.asset, path): part.files[path] for part in parts for path in part.files},
            )
            if target.exists():
                exchange_folders(made, target)
                _link_foreign(made, target, owned)  # what others put there meanwhile
            else:
                made.rename(target)
            sync(folder)
            shutil.rmtree(made, ignore_errors=True)
    return target


def folder_key(key: str) -> str:
    """Return the name of an output folder: a key as it is, and what is none as a file key, so that it is never a path.

    >>> folder_key("run7.h5"), folder_key("../run7")
    ('run7.h5', 'run7-7b7ae5')
    """
    return key if _KEY.fullmatch(key) and ".." not in key else file_key(key)


def read_contents(target: Path) -> Contents | None:
    """Return what an output folder holds; None where it is none, or was written before folders had parts.

    Raises:
        Unavailable: it cannot be read.
    """
    try:
        content = (target / REMEMBERED).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        with machine_errors(f"reading {target / REMEMBERED}"):
            raise
    try:
        document: Any = loads(content)
        parts = [Written.from_json(part) for part in document["parts"]]
        return Contents(str(document["of"]), str(document["name"]), {part.asset: part for part in parts})
    except (Refused, KeyError, TypeError, ValueError):
        return None


def _found(target: Path, of: str, name: str, before_parts: Collection[str]) -> tuple[Contents, set[str]]:
    """Return what is there of the same, and the places of files that are ours.

    Raises:
        Refused: something else is there.
    """
    if not os.path.lexists(target):
        return Contents(of, name), set()
    if target.is_dir() and not target.is_symlink():
        found = read_contents(target)
        if found is not None and (found.of, found.name) == (of, name):
            owned = {*found.places(), *found.shared(), REMEMBERED}
            return _but(found, {of for place, of in found.places().items() if not (target / place).is_file()}), owned
        if found is None and _named_in(target / PARAMETERS, of) == name:
            ours = {path for path in _files(target) if path.split("/")[0] in before_parts}
            return Contents(of, name), ours | {PARAMETERS}
    raise Refused(
        f"{target} is not an older folder of outputs of {of} {name!r}, so nothing is written into it; move it away, or "
        f"give the {of} another name."
    )


def _but(contents: Contents, gone: Collection[tuple[str, str]]) -> Contents:
    """Return contents less the files of parts that somebody removed."""
    parts = {
        asset: replace(part, files=tuple(path for path in part.files if (asset, path) not in gone))
        for asset, part in contents.parts.items()
    }
    return replace(contents, parts=parts)


def _with(contents: Contents, parts: Sequence[Part]) -> Contents:
    """Return contents with parts in place of those of the same assets."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    new = {part.asset: written(part, contents.parts.get(part.asset), now) for part in parts}
    made = replace(contents, parts=contents.parts | new)
    owner: dict[str, str] = dict.fromkeys((PARAMETERS, LOG, REMEMBERED), "every part")
    for asset, part in made.parts.items():
        for path in part.files:
            if owner.setdefault(path, asset) != asset:
                raise Refused(f"{path} is to be a file of {asset}, and belongs to {owner[path]}; name it otherwise.")
    return made


def _build(
    made: Path, target: Path, owned: set[str], old: Contents, new: Contents, content: Mapping[tuple[str, str], bytes]
) -> None:
    """Make the new folder: new files written, those of other parts and of other people linked."""
    shared, places = new.shared(), new.places()
    foreign = set(_files(target)) - owned if target.is_dir() else set()
    if taken := sorted(foreign & {*shared, *places, REMEMBERED}):
        raise Refused(f"{target / taken[0]} is a file of yours with the name of an output; move it away.")
    lay = {of: place for place, of in old.places().items()}
    files = {place: content[of] for place, of in places.items() if of in content} | shared
    made.mkdir()
    for place, of in places.items():
        if of not in content:
            _link(target / lay[of], made / place)
    for place, data in (files | {REMEMBERED: new.to_bytes()}).items():
        make_folder((made / place).parent)
        write_file(made / place, [data])
    if target.is_dir():
        _link_foreign(target, made, owned)
    for inner in (made, *(path for path in made.rglob("*") if path.is_dir() and not path.is_symlink())):
        sync(inner)


def _link_foreign(source: Path, target: Path, owned: set[str]) -> None:
    """Link what other people put into a folder into another one, where there is nothing of that name."""
    for path in _files(source):
        if path not in owned and not os.path.lexists(target / path):
            _link(source / path, target / path)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # a file system without links
        shutil.copy2(source, target, follow_symlinks=False)


def _files(folder: Path) -> Iterator[str]:
    """Yield the paths of all that is no folder in a folder; links are not followed."""
    for inner, folders, names in os.walk(folder):
        linked = [name for name in folders if (Path(inner) / name).is_symlink()]
        for name in (*names, *linked):
            yield (Path(inner) / name).relative_to(folder).as_posix()


def _named_in(parameters: Path, of: str) -> str | None:
    """Return what a ``params.json`` says that it is of, None where there is no such file or it does not say."""
    try:
        document = loads(parameters.read_bytes())
    except (FileNotFoundError, Refused):
        return None
    name = document.get(of) if isinstance(document, dict) else None
    return name if isinstance(name, str) else None
