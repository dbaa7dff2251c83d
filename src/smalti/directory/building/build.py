"""Opening, finding and building directories: what each form of the constructor comes to."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from smalti.directory.building import lease
from smalti.directory.building.arguments import parsed
from smalti.directory.building.declared import call_build_method, check_declared, defaults_of, has_build_method
from smalti.directory.building.index import with_config
from smalti.directory.building.known_types import class_of, class_of_stored
from smalti.directory.context import context, get_root_dir
from smalti.directory.errors import EntryMissing, ModifiedWarning, PlaceTaken, warn
from smalti.directory.folder_lock import writing_alone
from smalti.directory.metadata import DONE, META, RUNNING, STOPPED, named, read_meta, type_name, write_meta
from smalti.directory.namespaces import Namespace, diff, namespacify
from smalti.errors import Refused, SmaltiError, Unavailable
from smalti.store.commit import machine_errors, move_folder, unique_name

if TYPE_CHECKING:
    from smalti.directory.directory import Directory

D = TypeVar("D", bound="Directory")
_POLL_S = 0.05


def construct(cls: type[D], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> D:
    """Return the directory that the arguments of the constructor ask for.

    Raises:
        WrongType: they are in no valid form.
        PlaceTaken: another type, another configuration or a file is at the path, or its build was stopped.
        EntryMissing: nothing is at the path, and no configuration says how to build it.
        Refused: an empty name; a directory that is waited for by its own build method.
    """
    path, config = parsed(args, kwargs)
    deletes = bool(config.pop("delete_if_exists", False)) if config else False
    config = config or None
    if path is not None and (deletes or context.delete_if_exists.get()):
        _delete(path)
    check_declared(cls)
    if config is None and (path is None or not path.exists()):
        config = defaults_of(cls) or None
    if path is not None:
        directory = open_at(cls, path) if config is None else _build_at(cls, path, config)
    elif config is not None:
        directory = _find_or_build(cls, config)
    else:
        directory = instance(cls, _free_path(cls), {})
    if context.check_size_on_init.get():
        directory.check_size()
    return directory


def open_at(cls: type[D], path: Path) -> D:
    """Return the directory at a path; where there is none it is empty until something is written.

    Raises:
        PlaceTaken: a file, or another type, is there.
        EntryMissing: nothing is there, and the class needs a configuration to build it.
    """
    if path.is_dir():
        stored = read_meta(path).config or {}
        return instance(class_of_stored(cls, stored.get("type"), path), path, stored)  # type: ignore[return-value]
    if path.exists():
        raise PlaceTaken(f"{path} is a file, but a directory is a folder; give another path.")
    if has_build_method(cls) and not defaults_of(cls):
        raise EntryMissing(f"{path} does not exist, and no configuration was given to build a {cls.__qualname__} from.")
    return instance(cls, path, {})


def _find_or_build(cls: type[D], config: Mapping[str, Any]) -> D:
    kind: type[D] = class_of(cls, config.get("type"))  # type: ignore[assignment]
    while True:
        directory = instance(kind, _free_path(kind), config)  # the path is chosen before the search, see _build
        wanted = namespacify(named(directory._config))
        for path, meta in with_config(get_root_dir(), wanted):
            if meta.get("modified"):
                warn(
                    f"{path} has this configuration, but was modified after it was built, so it is passed over; "
                    "give its path to open it.",
                    ModifiedWarning,
                )
            elif _awaited_status(path) == DONE:
                return instance(kind, path, config)
        if not _is_built(directory) or _build(directory):
            return directory


def _build_at(cls: type[D], path: Path, config: Mapping[str, Any]) -> D:
    directory: D = instance(class_of(cls, config.get("type")), path, config)  # type: ignore[assignment]
    while not path.exists():
        if not _is_built(directory) or _build(directory):
            return directory
    if not path.is_dir():
        raise PlaceTaken(f"{path} is a file, but a directory is a folder; give another path.")
    stored, passed = read_meta(path).config, namespacify(named(directory._config))
    if stored is not None and stored != passed:
        message = f'"{path}" (incompatible config):\n{diff(passed, stored, "passed", "stored")}'
        if context.enforce_config_match.get():
            raise PlaceTaken(message)
        warn(message, Warning)
    if (status := _awaited_status(path)) == STOPPED:
        raise PlaceTaken(f'"{path}" was stopped mid-build; delete it, or give delete_if_exists=True to build it again.')
    if status == RUNNING:
        raise PlaceTaken(
            f'"{path}" is marked as running, but nothing says who builds it and nobody has written its metadata for '
            f"{lease.TIMEOUT_S:.0f} s; delete it, or give delete_if_exists=True to build it again."
        )
    return directory


def instance(kind: type[D], path: Path, config: Mapping[str, Any]) -> D:
    """Return an object of the class, with the defaults completed by a configuration; nothing is written."""
    directory = object.__new__(kind)
    given = {key: value for key, value in config.items() if key != "type"}
    full = namespacify({"type": type_name(kind), **defaults_of(kind), **given})
    object.__setattr__(directory, "path", path)
    object.__setattr__(directory, "_config", full)
    return directory


def _is_built(directory: Directory) -> bool:
    """Tell whether there is anything to build or to store of a directory that does not exist."""
    given = {key: value for key, value in directory._config.items() if key != "type"}
    return bool(given) and (
        has_build_method(type(directory)) or Namespace(given) != namespacify(defaults_of(type(directory)))
    )


def _build(directory: Directory) -> bool:
    """Build a directory at its path; return False when something has come to be there before.

    The folder appears with its metadata and lease inside, so of two who chose the same free path before they searched,
    the second finds the first.
    """
    path, config = directory.path, named(directory._config)
    with machine_errors(f"making {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(f".smalti-{unique_name()}.part")
        staged.mkdir()
        try:
            write_meta(staged / META, config, RUNNING)
            lease.take(staged)
            if not move_folder(staged, path):
                return False
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    with lease.renewed(path):
        try:
            call_build_method(directory, directory._config)
        except BaseException:
            with suppress(SmaltiError):  # what went wrong before is what is told
                write_meta(path / META, config, STOPPED)
            raise
        write_meta(path / META, config, DONE)
    return True


def _awaited_status(path: Path) -> str:
    """Return the status of a directory once nobody builds it any more.

    It is ``running`` still where it is not known who builds it, and its metadata were written long ago.

    Raises:
        Refused: this very thread builds it.
    """
    while True:
        status: str = read_meta(path).status
        if status != RUNNING:
            return status
        if lease.is_built_by_this_thread(path):
            raise Refused(f"{path} is asked for by its own build method, with the configuration that it is built from.")
        owner = lease.owner_of(path)
        if owner is None:
            if lease.idle_s(path / META) > lease.TIMEOUT_S:
                return status
        elif not lease.is_alive(path, owner):
            return _stopped(path)
        time.sleep(_POLL_S)


def _stopped(path: Path) -> str:
    """Mark a directory whose builder died as stopped, unless it was finished just before; return its status."""
    with suppress(OSError), writing_alone(path):
        meta = read_meta(path)
        if meta.status != RUNNING:
            return str(meta.status)
        write_meta(path / META, meta.config, STOPPED)
        (path / lease.LEASE).unlink(missing_ok=True)
    return STOPPED


def _delete(path: Path) -> None:
    """Delete the folder at a path.

    Raises:
        Refused: the root directory, the current folder or the home folder is in it.
        PlaceTaken: it is being built.
    """
    if not path.is_dir():
        return
    for what, place in {"root directory": get_root_dir(), "current folder": Path(), "home folder": Path.home()}.items():
        if place.resolve().is_relative_to(path):
            raise Refused(f"{path} is not deleted: the {what} is in it.")
    owner = lease.owner_of(path)
    if owner and _is_running(path) and lease.is_alive(path, owner):
        raise PlaceTaken(f"{path} is not deleted: {owner} is building it.")
    delete_folder(path)


def delete_folder(path: Path) -> None:
    """Delete a folder and all in it.

    Raises:
        Unavailable: the machine did not let all of it be deleted.
    """
    try:
        shutil.rmtree(path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise Unavailable(
            f"not all of {path} could be deleted: {reason} at {error.filename}; mend that and delete the rest."
        ) from error


def _is_running(path: Path) -> bool:
    try:
        return bool(read_meta(path, retries=0).status == RUNNING)
    except SmaltiError:  # what cannot be read is deleted all the same
        return False


def _free_path(kind: type) -> Path:
    """Return the first path below the root, of a class's name and a number, where there is nothing."""
    root, name = get_root_dir().resolve(), type_name(kind)
    taken = set(os.listdir(root)) if root.is_dir() else set()  # noqa: PTH208, a root may have many
    names = (f"{name}_{number:04x}" for number in itertools.count())
    return root / next(free for free in names if free not in taken)
