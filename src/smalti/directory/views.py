"""How a directory shows itself: a drawn tree, its size, a tree with shapes and small pictures for notebooks."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from smalti.directory import io
from smalti.directory.errors import warn
from smalti.directory.hdf5.arrays import ArrayFile
from smalti.directory.metadata import META
from smalti.errors import Refused, SmaltiError
from smalti.notebook import Entry, thumbnail
from smalti.store.commit import machine_errors

_SPACE, _BRANCH, _TEE, _LAST = "    ", "│   ", "├── ", "└── "
_LEVELS, _ENTRIES = 3, 25  # of the notebook's tree


def tree(
    folder: Path,
    level: int = -1,
    length_limit: int | None = None,
    verbose: bool = True,
    last_modified: bool = True,
    limit_to_directories: bool = False,
) -> str:
    """Return a drawn tree: a line with the name and the time of the last change, the entries, a line of counts.

    Args:
        folder: what is drawn; files that directories keep for themselves are left out, but for ``_meta.yaml``.
        level: how deep; -1 for all of it.
        length_limit: how many lines of entries; None for all.
        verbose: with the counts.
        last_modified: with the time.
        limit_to_directories: without files.
    """
    if not folder.exists():
        return f"{folder.name}/\n{_SPACE}(empty)"
    counts = {"directories": 1, "files": 0}
    lines = _lines(folder, "", level, limit_to_directories, counts)
    head = f"{folder.name}/"
    if last_modified:
        changed = datetime.datetime.fromtimestamp(folder.stat().st_mtime)
        head += f" - Last modified: {changed.strftime('%B %d, %Y %H:%M:%S')}"
    drawn = [head, *itertools.islice(lines, length_limit)]
    if verbose:
        cut = next(lines, None) is not None
        shown = f"{counts['directories']} {'directory' if counts['directories'] == 1 else 'directories'}"
        files = f", {counts['files']} {'file' if counts['files'] == 1 else 'files'}" if counts["files"] else ""
        levels = f", {level} levels." if level >= 1 else ""
        drawn += [f"... length_limit, {length_limit}, reached,"] if cut else [""]
        drawn.append(f"displaying: {shown}{files}{levels}")
    return "\n".join(drawn)


def text(folder: Path, verbosity: int) -> str:
    """Return the tree at a verbosity: 0 one line, 1 two levels and 25 lines, 2 everything."""
    if verbosity == 0:
        return tree(folder, level=1, length_limit=0, verbose=False)
    return tree(folder, level=2, length_limit=25) if verbosity == 1 else tree(folder)


def size_nbytes(folder: Path) -> int:
    """Return the size of all files in a folder and below, without what links lead to."""
    total = 0
    with machine_errors(f"measuring {folder}"):
        for file in io.walk_files(folder):
            with suppress(FileNotFoundError):  # removed in the meantime
                total += file.stat(follow_symlinks=False).st_size
    return total


def checked_size(folder: Path, warning_at: int, print_size: bool, raise_on_warning: bool) -> int:
    """Return the size in bytes; it is warned of, or refused, when it is that large."""
    nbytes = size_nbytes(folder)
    if print_size:
        print(size_text(nbytes))
    if raise_on_warning and nbytes > warning_at:
        raise Refused(f"{folder} has {nbytes} bytes, more than {warning_at}.")
    if nbytes >= warning_at:
        warn(f"{folder} occupies {size_text(nbytes)}.", ResourceWarning)
    return nbytes


def size_text(nbytes: float) -> str:
    """Return a size in binary units, as ``1.5KiB``."""
    for unit in ("", "Ki", "Mi", "Gi", "Ti", "Pi"):
        if nbytes < 1024:
            return f"{nbytes:3.1f}{unit}B"
        nbytes /= 1024
    return f"{nbytes:.1f}EiB"


def entry_of(folder: Path, name: str, levels: int = _LEVELS) -> Entry:
    """Return a folder as a notebook shows it, with the first entries of each level."""
    keys = io.names_in(folder)
    shown = keys[:_ENTRIES] if levels else []
    children = tuple(_entry(folder, key, levels - 1) for key in shown)
    what = f"{len(keys)} {'entry' if len(keys) == 1 else 'entries'}" if folder.is_dir() else "empty"
    return Entry(name, what, None, children, len(keys) - len(shown))


def _lines(folder: Path, prefix: str, level: int, limit_to_directories: bool, counts: dict[str, int]) -> Iterator[str]:
    if not level:
        yield f"{prefix}..."
        return
    try:
        paths = sorted(path for path in folder.iterdir() if path.name[0] not in "_." or path.name == META)
    except PermissionError:
        yield f"{prefix}{_LAST}(permission denied)"
        return
    if limit_to_directories:
        paths = [path for path in paths if path.is_dir()]
    for path in paths:
        last = path == paths[-1]
        drawn = f"{prefix}{_LAST if last else _TEE}{path.name}"
        if path.is_dir():
            counts["directories"] += 1
            yield f"{drawn}/"
            if not path.is_symlink():  # it may lead to a folder above
                inner = prefix + (_SPACE if last else _BRANCH)
                yield from _lines(path, inner, level - 1, limit_to_directories, counts)
        else:
            counts["files"] += 1
            yield drawn


def _entry(folder: Path, key: str, levels: int) -> Entry:
    try:
        found = io.form_at(io.path_of(folder, key))
        if found is None or found[0] == "folder":
            return entry_of(folder / key, key, levels)
        return _shown(key, *found)
    except (SmaltiError, OSError, ValueError, KeyError) as error:  # one that cannot be read hides no other
        return Entry(key, f"cannot be read: {error}")


def _shown(key: str, form: str, path: str) -> Entry:
    if form == "array":
        array = ArrayFile(Path(path))
        what = f"{' × '.join(map(str, array.shape)) or 'one value'}, {array.dtype}"
        return Entry(key, what, thumbnail(array))  # which reads no more of it than it shows
    nbytes = Path(path).stat().st_size
    return Entry(key, f"{'table' if form == 'table' else 'file'}, {size_text(nbytes)}")
