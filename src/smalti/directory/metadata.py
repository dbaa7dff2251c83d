"""The file ``_meta.yaml`` of a directory: its configuration, the status of its build, whether it was modified since.

Read and written as YAML 1.2, as other programs write it: ``1e-05`` is a number, ``yes`` and ``2024-03-20`` are text.
"""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

from smalti.directory.bounded_yaml import MOST_VALUES, BoundedLoader, load
from smalti.directory.context import get_scope
from smalti.directory.errors import MetadataError, MetadataParseError, MetadataValidationError, WrongType
from smalti.directory.namespaces import Namespace, namespacify
from smalti.errors import Unavailable
from smalti.tracking.work_file import replace_file

META = "_meta.yaml"
DONE, RUNNING, STOPPED, MANUALLY_WRITTEN = "done", "running", "stopped", "manually written"
_RETRIES, _PAUSE_S = 5, 0.1  # a program that does not write it in one step may be in the middle
_KEPT = 4096  # files that were read and are remembered
_OWN = {"config", "status", "modified"}

_FLOAT = re.compile(
    r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
)
_CORE = [  # https://yaml.org/spec/1.2.2/#1032-tag-resolution
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("tag:yaml.org,2002:int", re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")),
    ("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789.")),
    ("tag:yaml.org,2002:merge", re.compile(r"^(?:<<)$"), ["<"]),
]


class _Loader(BoundedLoader):
    """Reads the types of YAML 1.2's core schema."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Quotes text that YAML 1.1 or 1.2 would take for something else."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        key: list(value) for key, value in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }

    def ignore_aliases(self, data: object) -> bool:
        return True


def _integer(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node)
    return int(text, 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10)


for _tag, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(_tag, _pattern, _first)
    _Dumper.add_implicit_resolver(_tag, _pattern, _first)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Dumper.add_representer(Namespace, lambda dumper, value: dumper.represent_dict(value.items()))

_seen: dict[Path, tuple[tuple[int, ...], Namespace]] = {}


def read_meta(path: Path, retries: int = _RETRIES) -> Namespace:
    """Return what the ``_meta.yaml`` in a folder says: ``config``, ``status`` and whatever else is in it.

    Where there is no such file, that is ``config`` None and the status ``done``.

    Raises:
        MetadataParseError: it is not YAML, also after ``retries`` further looks, 0.1 s apart.
        MetadataValidationError: a field is missing or of the wrong kind, also after these.
    """
    return _remembered(path, retries).deepcopy()


def is_done(path: Path) -> bool:
    """Tell whether a folder's build is done and it is not yet marked as modified."""
    meta = _remembered(path, _RETRIES)
    return bool(meta.status == DONE and not meta.get("modified"))


def write_meta(path: Path, config: Mapping[str, Any] | None, status: str, modified: bool = False, **more: Any) -> None:
    """Replace a ``_meta.yaml`` in one step; fields that it has beyond these are kept.

    Args:
        path: the file.
        config: written with classes by their names.
        status: of the build.
        modified: written only when true.
        more: further fields; None removes one.

    Raises:
        WrongType: something that a configuration cannot hold.
        Unavailable: the disk is full, or may not be written.
    """
    fields = {"config": named(namespacify(config)), "status": status}
    if modified:
        fields["modified"] = True
    fields |= {key: value for key, value in _others(path).items() if key not in more}
    fields |= {key: named(namespacify(value)) for key, value in more.items() if value is not None}
    content = yaml.dump(fields, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    replace_file(path, content.encode())


def type_name(cls: type) -> str:
    """Return the name of a class in the present scope, else its qualified name."""
    names = (name for name, known in get_scope().items() if known.__qualname__ == cls.__qualname__)
    return next(names, cls.__qualname__)


def named(value: Any) -> Any:
    """Return a configuration as it is stored: classes by their names, in plain dictionaries and lists."""
    if isinstance(value, type):
        return type_name(value)
    if isinstance(value, Mapping):
        return {key: named(item) for key, item in value.items()}
    if isinstance(value, list):
        return [named(item) for item in value]
    return value if isinstance(value, bool | int | float | str | bytes | None) else str(value)


def _remembered(path: Path, retries: int) -> Namespace:
    """Return what ``read_meta`` returns, not a copy: a file is read again only when it has changed."""
    file = path / META
    failed: tuple[tuple[int, ...] | None, MetadataError] | None = None
    for left in range(retries, -1, -1):
        look = _look(file)
        try:
            if look is None:
                break
            if failed and failed[0] == look:
                raise failed[1]
            remembered = _seen.get(file)
            if remembered is None or remembered[0] != look:
                remembered = look, _read(file, path)
                if len(_seen) >= _KEPT:
                    _seen.clear()
                _seen[file] = remembered
            return remembered[1]
        except FileNotFoundError:
            break
        except MetadataError as error:
            if not left:
                raise
            failed = look, error
            time.sleep(_PAUSE_S)
    return Namespace(config=None, status=DONE)


def _look(file: Path) -> tuple[int, ...] | None:
    """Return what changes with each writing of a file, None where there is none."""
    try:
        status = os.stat(file)  # noqa: PTH116, this runs for every write
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unavailable(f"{file} cannot be read: {error.strerror}; mend that and try again.") from error
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read(file: Path, folder: Path) -> Namespace:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unavailable(f"{file} cannot be read: {error.strerror}; mend that and try again.") from error
    try:
        loaded = load(content, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise MetadataParseError(f"{file} is not YAML: {said}; mend it, or delete it.") from error
    if _count(loaded) > MOST_VALUES:
        raise MetadataValidationError(f"{file} holds more than {MOST_VALUES} values, which no configuration does.")
    try:
        return _validated(namespacify(loaded), file, folder)
    except WrongType as error:
        raise MetadataValidationError(f"{file} cannot be used: {error}") from error


def _count(value: Any) -> int:
    """Return how many values there are, references to one counted each; no further than to the most allowed."""
    left, found = [value], 0
    while left and found <= MOST_VALUES:
        item = left.pop()
        found += 1
        if isinstance(item, dict | list):
            left.extend(item.values() if isinstance(item, dict) else item)
    return found


def _validated(meta: Any, file: Path, folder: Path) -> Namespace:
    if not isinstance(meta, Namespace):
        raise MetadataValidationError(f"{file} must hold a mapping, not {type(meta).__name__}.")
    if "config" not in meta and isinstance(meta.get("spec"), Namespace):
        warnings.warn(f"{folder} has the legacy field 'spec' for 'config'.", DeprecationWarning, stacklevel=2)
        meta = Namespace({"config" if key == "spec" else key: value for key, value in meta.items()})
    if "config" not in meta:
        raise MetadataValidationError(f"Missing required 'config' field in {file}.")
    if not isinstance(meta["config"], Namespace):
        raise MetadataValidationError(f"'config' must be a Namespace (a mapping) in {file}.")
    if "status" not in meta:
        raise MetadataValidationError(f"Missing required 'status' field in {file}.")
    if not isinstance(meta["status"], str):
        raise MetadataValidationError(f"'status' must be a string in {file}.")
    validated: Namespace = meta
    return validated


def _others(path: Path) -> dict[str, Any]:
    """Return the fields of a file that are not ours; none where it cannot be read."""
    try:
        loaded = load(path.read_bytes(), _Loader)
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return {}
    if not isinstance(loaded, dict):
        return {}
    own = _OWN if "config" in loaded else {*_OWN, "spec"}
    return {key: value for key, value in loaded.items() if key not in own}
