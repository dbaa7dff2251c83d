"""The entries of a directory as files: which files a key stands for, and how each kind of value is written.

``key.h5``    an array, the dataset ``data``
``key.csv``   a table, see ``tables``
``key``       a file of any other kind, its extension in the key, or a folder

A key has one form: what is written last replaces the others. Names that begin with ``_`` or ``.`` are not listed.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from smalti.directory import tables
from smalti.directory.building.build import delete_folder, open_at
from smalti.directory.building.lease import LEASE
from smalti.directory.errors import EntryMissing, PlaceTaken, WrongType
from smalti.directory.folder_lock import writing_alone
from smalti.directory.hdf5.arrays import ArrayFile, as_array, extend_array, write_array
from smalti.directory.metadata import META, named, read_meta, write_meta
from smalti.directory.namespaces import diff, namespacify
from smalti.directory.tables import is_table
from smalti.errors import Refused, Unavailable
from smalti.store.commit import machine_errors, unique_name

if TYPE_CHECKING:
    from smalti.directory.directory import Directory

H5Reader = ArrayFile  # the name that datamate has for it
ARRAY, TABLE = ".h5", tables.SUFFIX
_LONGEST_NAME = 255  # bytes
_OWN = {META, LEASE, "_versions.json"}
Form = Literal["array", "table", "file", "folder"]
WITH_ARTICLE: dict[Form, str] = {"array": "an array", "table": "a table", "file": "a file", "folder": "a folder"}


def path_of(folder: str | Path, key: object) -> str:
    """Return the path that a key stands for, without the extension of an array or table.

    Raises:
        WrongType: the key is no text.
        Refused: it is empty, leads out of the directory, or has a name that is too long for a file.
    """
    if not isinstance(key, str):
        raise WrongType(f"the key {key!r} is no text; the entries of a directory have names.")
    if not key or key[0] == "/" or "\0" in key or any(part in {"", ".", ".."} for part in key.rstrip("/").split("/")):
        raise Refused(
            f"{key!r} is no key of {folder}: give names below it, with / between, none of them empty or '..'."
        )
    if len(key) * 4 > _LONGEST_NAME and max(len(os.fsencode(part)) for part in key.split("/")) > _LONGEST_NAME:
        raise Refused(f"{key!r} holds a name of more than {_LONGEST_NAME} bytes, which no file can have; shorten it.")
    return os.path.join(folder, key.rstrip("/"))  # noqa: PTH118, this runs for every access


def form_at(path: str) -> tuple[Form, str] | None:
    """Return what is at the path of a key, and in which file or folder; None where there is nothing."""
    if os.path.isfile(path + ARRAY):  # noqa: PTH113
        return "array", path + ARRAY
    if os.path.isfile(path + TABLE):  # noqa: PTH113
        return "table", path + TABLE
    if os.path.isfile(path):  # noqa: PTH113
        return ("array" if path.endswith(ARRAY) else "table" if path.endswith(TABLE) else "file"), path
    return ("folder", path) if os.path.isdir(path) else None  # noqa: PTH112


def names_in(folder: Path) -> list[str]:
    """Return the keys of a folder, sorted; none where there is no folder."""
    try:
        names = os.listdir(folder)  # noqa: PTH208, this runs for every look at a directory
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise Unavailable(f"{folder} cannot be read: {error.strerror}; mend that and try again.") from error
    public = (name for name in names if name[0] not in "_.")
    return sorted({name[: -len(suffix)] if (suffix := _suffix(name)) else name for name in public})


def read(found: tuple[Form, str]) -> Any:
    """Return an array, table or file as it is given out: an ``ArrayFile``, a ``DataFrame``, a ``Path``."""
    form, path = found
    if form == "array":
        return ArrayFile(Path(path))
    return tables.read_table(Path(path)) if form == "table" else Path(path)


def check(key: str, value: object) -> None:
    """Check that a value can be written under a key.

    Raises:
        WrongType: it is of no kind that can be.
        EntryMissing: it is a path where nothing is.
        Refused: an array, table or mapping whose key has an extension; a path of a device.
    """
    if isinstance(value, Path):
        if not value.exists():
            raise EntryMissing(f"{value} does not exist, so it cannot be copied to {key!r}.")
        if not (value.is_file() or value.is_dir()):
            raise Refused(f"{value} is neither a file nor a folder, so it cannot be copied to {key!r}.")
        return
    if "." in key.rpartition("/")[2]:
        raise Refused(f"{key!r} has an extension, which only a file has that is copied; take a key without a dot.")
    from smalti.directory.directory import Directory

    if isinstance(value, Directory):
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            path_of("the mapping", name)
            check(name, item)
    elif is_table(value):
        tables.check_table(value)  # type: ignore[arg-type]
    elif not isinstance(value, ArrayFile):
        as_array(value)


def write(folder: Path, key: str, value: object) -> None:
    """Write a checked array, table or copy of a file or folder, and remove what was under the key in other forms.

    Raises:
        PlaceTaken: a folder that is not empty is there.
    """
    path = Path(path_of(folder, key))
    check_way(folder, key)
    if isinstance(value, Path) and value.is_dir():
        copy_folder(folder, key, value)
        return
    if path.is_dir():
        try:
            path.rmdir()
        except OSError:
            raise PlaceTaken(
                f"{path} is a folder that is not empty; delete it first: del directory[{key!r}]."
            ) from None
    with machine_errors(f"writing {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, Path):
            kept = _copy_file(value, path)
            if path.suffix in {ARRAY, TABLE}:
                path = path.with_suffix("")
        elif is_table(value):
            kept = path.with_name(path.name + TABLE)
            with writing_alone(path.parent):
                tables.write_table(kept, value)  # type: ignore[arg-type]
        else:
            kept = path.with_name(path.name + ARRAY)
            write_array(kept, value[...] if isinstance(value, ArrayFile) else value)
        remove_others(path, kept)


def extend(folder: Path, key: str, value: object) -> None:
    """Append to an array, a table or (from a ``Path``) a file; it is created when it does not exist.

    Raises:
        WrongType: it is there in another form; the value is of no kind, shape or type that can be appended.
        Refused: bytes are appended to a key without an extension.
    """
    path = Path(path_of(folder, key))
    form: Form = "file" if isinstance(value, Path) else "table" if is_table(value) else "array"
    if form == "file" and not path.suffix:
        raise Refused(f"{key!r} has no extension, so {value} is not appended to it; give the key of a file.")
    found = form_at(str(path))
    check_way(folder, key, Path(found[1]).name if found else "")
    if found and found[0] != form and not (form == "file" and found == ("table", str(path))):
        raise WrongType(
            f"{key!r} is {WITH_ARTICLE[found[0]]}, which cannot be extended by {WITH_ARTICLE[form]}; delete it first."
        )
    check(key, value)
    with machine_errors(f"extending {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, Path):
            with writing_alone(path.parent):
                _append(path, value)
        elif is_table(value):
            with writing_alone(path.parent):
                tables.extend_table(path.with_name(path.name + TABLE), value)  # type: ignore[arg-type]
        else:
            extend_array(path.with_name(path.name + ARRAY), value[...] if isinstance(value, ArrayFile) else value)


def delete(folder: Path, key: str) -> None:
    """Delete what is under a key, in every form; a link is removed, not what it leads to."""
    path = Path(path_of(folder, key))
    check_way(folder, key)
    with machine_errors(f"deleting {path}"):
        remove_others(path, None)
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            delete_folder(path)


def remove_others(path: Path, kept: Path | None) -> None:
    """Remove the files that a key stands for, except the one that was written last."""
    array, table = path.with_name(path.name + ARRAY), path.with_name(path.name + TABLE)
    if array != kept:
        array.unlink(missing_ok=True)
    if table != kept:
        tables.delete_table(table)
    if path != kept and path.is_file():
        if path.suffix == TABLE:
            tables.delete_table(path)
        else:
            path.unlink(missing_ok=True)


def make_folder_at(folder: Path, key: str) -> None:
    """Make the folder of a key; a file of exactly this name is removed."""
    path = Path(path_of(folder, key))
    check_way(folder, key, path.name)
    with machine_errors(f"making {path}"):
        if path.is_file():
            path.unlink()
        path.mkdir(parents=True, exist_ok=True)


def copy_folder(folder: Path, key: str, source: Path, replace: bool = False) -> None:
    """Copy a folder with its metadata; the copy appears whole.

    Args:
        folder: of the directory.
        key: under which it is copied.
        source: the folder.
        replace: remove what is under the key in other forms, and an empty folder.

    Raises:
        PlaceTaken: something is there, and it is not replaced.
        Refused: the copy would be within the source.
    """
    target = Path(path_of(folder, key))
    check_way(folder, key)
    if target.resolve().is_relative_to(source.resolve()):
        raise Refused(f"{source} cannot be copied into itself, to {target}.")
    if not replace and (found := form_at(str(target))):
        raise PlaceTaken(f"{found[1]} exists; delete it first, or give another key.")
    staged = target.with_name(f".smalti-{unique_name()}.part")
    with machine_errors(f"copying {source}"):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copytree(source, staged, ignore=shutil.ignore_patterns(LEASE, ".smalti", ".smalti-*.part"))
            if target.is_file():
                target.unlink()
            staged.rename(target)  # over an empty folder, or where nothing is
            remove_others(target, None)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def copy_directory(folder: Path, key: str, source: Directory) -> None:
    """Copy a directory with its type and configuration; what is there already is added to.

    Raises:
        PlaceTaken: a directory of another configuration is there.
        Refused: the key has an extension, or the copy would be within the source.
    """
    path = Path(path_of(folder, key))
    if "." in path.name:
        raise Refused(f"{key!r} has an extension, which only a file has; take a key without a dot.")
    if source.path.exists() and not (path.is_dir() and any(path.iterdir())):
        copy_folder(folder, key, source.path, replace=True)
        return
    make_folder_at(folder, key)
    remove_others(path, None)
    stored, given = read_meta(path).config, namespacify(named(source.config))
    if stored is not None and stored != given:
        raise PlaceTaken(f'"{path}" (incompatible config):\n{diff(given, stored, "passed", "stored")}')
    if stored is None and len(given) > 1:
        write_meta(path / META, given, source.status)
    child = open_at(type(source), path)
    for name, item in source.items():
        child[name] = item


def move_folder(source: Path, target: Path) -> None:
    """Move a folder to where nothing is.

    Raises:
        PlaceTaken: something is there.
        EntryMissing: there is no folder to move.
    """
    if target.exists():
        raise PlaceTaken(f"{target} exists, so {source} is not moved there; give another path.")
    if not source.exists():
        raise EntryMissing(f"{source} does not exist yet, so there is nothing to move.")
    with machine_errors(f"moving {source}"):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.rename(target)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        staged = target.with_name(f".smalti-{unique_name()}.part")
        try:  # to another file system
            shutil.copytree(source, staged, symlinks=True)
            staged.rename(target)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    delete_folder(source)


def check_way(folder: Path, key: str, entered: str = "") -> None:
    """Check that a key leads to a place in the directory, through folders only; nothing is written through a link.

    Args:
        folder: of the directory.
        key: that is written.
        entered: the name of the file or folder there, when that is itself written to, not replaced.

    Raises:
        PlaceTaken: an array or table is where a folder would have to be; it would hide what is in the folder.
        Refused: a link leads out of the directory; or the key is that of a file that the directory keeps for itself.
    """
    *above, last = key.rstrip("/").split("/")
    if last in _OWN:
        raise Refused(f"{key!r} is kept by the directory itself; take another key.")
    path = folder
    for part in above:
        path = path / part
        if (found := form_at(str(path))) and found[0] != "folder":
            raise PlaceTaken(f"{found[1]} is {WITH_ARTICLE[found[0]]}, so there is no {key!r}; delete it first.")
        _check_link(folder, path)
    if entered:
        _check_link(folder, path / entered)


def check_folder(folder: Path, key: str) -> None:
    """Check that entries can be added to a folder under a key; there need be none yet.

    Raises:
        WrongType: something else is under the key.
        PlaceTaken, Refused: see :func:`check_way`.
    """
    path = path_of(folder, key)
    if (found := form_at(path)) and found[0] != "folder":
        raise WrongType(f"{key!r} is {WITH_ARTICLE[found[0]]}, which cannot be extended by a mapping; delete it first.")
    check_way(folder, key, Path(path).name)


def _check_link(folder: Path, path: Path) -> None:
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise Refused(f"{path} is a link that leads out of {folder}; open the directory that it leads to.")


def walk_files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield every file in a folder and below; links are not followed."""
    try:
        with os.scandir(folder) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    yield from walk_files(Path(entry.path))
                elif not entry.is_symlink():
                    yield entry
    except FileNotFoundError:  # removed in the meantime
        return


def _suffix(name: str) -> str:
    return next((suffix for suffix in (ARRAY, TABLE) if name.endswith(suffix) and name != suffix), "")


def _copy_file(source: Path, target: Path) -> Path:
    beside = target.with_name(f".smalti-{unique_name()}.part")
    with machine_errors(f"copying {source}"):
        try:
            shutil.copy(source, beside)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    return target


def _append(target: Path, source: Path) -> None:
    """Append a file's bytes; what was appended is taken back when that fails."""
    with source.open("rb") as read_from, target.open("ab") as file:
        before = file.tell()
        try:
            shutil.copyfileobj(read_from, file)
            file.flush()
        except BaseException:
            os.ftruncate(file.fileno(), before)
            raise
