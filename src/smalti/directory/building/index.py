"""Which directories below a root have a given configuration, without reading every ``_meta.yaml`` each time.

The index is only a cache: what it finds is read again before it is used, and what it lacks is looked for in the root.
It is kept in the process, and for roots of many directories in the file ``.smalti/configs.json`` of the root:
name -> [inode, size, mtime (ns), ctime (ns), digest of the configuration].
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from smalti.directory.metadata import META, read_meta
from smalti.directory.namespaces import Namespace
from smalti.errors import SmaltiError
from smalti.tracking.work_file import replace_file

FOLDER = ".smalti"
_FILE = "configs.json"
_WORTH_WRITING = 64  # directories that were read anew
_Entry = tuple[tuple[int, ...], str]

_lock = threading.Lock()
_indices: dict[Path, dict[str, _Entry]] = {}


def with_config(root: Path, config: Namespace) -> Iterator[tuple[Path, Namespace]]:
    """Yield the direct children of a root whose stored configuration equals the given one, with their metadata.

    Those that are known come first; all others are looked at only when the caller goes on.
    """
    root = root.resolve()
    wanted, index = fingerprint(config), _index_of(root)
    known = sorted(name for name, (_, digest) in index.items() if digest == wanted)
    for name in known:
        yield from _if_equal(root / name, config)
    fresh = _refreshed(root, index)
    for name in sorted(name for name, (_, digest) in fresh.items() if digest == wanted and name not in known):
        yield from _if_equal(root / name, config)


def fingerprint(config: Any) -> str:
    """Return a digest that is the same for equal configurations, so ``1``, ``1.0`` and ``True`` count as one."""
    return hashlib.sha256(repr(_plain(config)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((repr(key), _plain(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool | int | float):
        with suppress(OverflowError, ValueError):
            return int(value) if value == int(value) else value
    return value


def _if_equal(path: Path, config: Namespace) -> Iterator[tuple[Path, Namespace]]:
    with suppress(SmaltiError, OSError):
        meta = read_meta(path, retries=0)
        if meta.config == config:
            yield path, meta


def _index_of(root: Path) -> dict[str, _Entry]:
    with _lock:
        if root not in _indices:
            _indices[root] = _from_file(root / FOLDER / _FILE)
        return _indices[root]


def _refreshed(root: Path, index: dict[str, _Entry]) -> dict[str, _Entry]:
    """Return a new index: what was not read before or has changed since is read, what is gone is forgotten."""
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".")]
    except OSError:
        names = []
    anew = 0
    found: dict[str, _Entry] = {}
    for name in names:
        try:
            status = os.stat(f"{root}/{name}/{META}")  # noqa: PTH116, this runs for every child of the root
        except OSError:
            continue
        look = status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        entry = index.get(name)
        if entry is None or entry[0] != look:
            try:
                entry = look, fingerprint(read_meta(root / name, retries=0).config)
            except (SmaltiError, OSError):  # it can equal nothing
                continue
            anew += 1
        found[name] = entry
    with _lock:
        _indices[root] = found
    if anew >= _WORTH_WRITING:
        _write(root, found)
    return found


def _from_file(file: Path) -> dict[str, _Entry]:
    try:
        loaded = json.loads(file.read_bytes())
        return {name: (tuple(map(int, look)), str(digest)) for name, (*look, digest) in loaded.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(root: Path, index: dict[str, _Entry]) -> None:
    content = json.dumps({name: [*look, digest] for name, (look, digest) in index.items()})
    with suppress(OSError):  # the root may be read-only
        (root / FOLDER).mkdir(exist_ok=True)
        replace_file(root / FOLDER / _FILE, content.encode())
