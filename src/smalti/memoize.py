"""Results of functions, kept in the store by what went in: the same call again is read, not computed.

``@memoize(version=1)`` says that a function's result depends on nothing but its arguments. Nothing is kept until
somebody says where::

    @memoize(version=1)
    def nearest(xcoords, ycoords, count): ...

    with remembering(store):
        groups = nearest(xcoords, ycoords, 4)

What is kept can go at any time: ``smalti clean``, or ``store.forget``. Until then it has a name,
``memoized/<function>/<key>``, so that no collection takes it.

``SMALTI_DISABLE_MEMOIZE=1`` computes everything. ``SMALTI_MEMOIZE_KEY_MODE`` says how well a key has to know its data;
every other argument, and the version that the function states, is part of it in each mode:

- ``dataset``: a scan counts by its metadata (name, source, version, ...), not by its bytes: quick, and trusting;
- ``data`` (the default): everything counts by its content;
- ``full``: and so do the source of the function's module, and the versions of Python and numpy.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import platform
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from blake3 import blake3

from smalti import canonical
from smalti.canonical import Json
from smalti.codecs.registry import CODECS
from smalti.codecs.scan import Scan
from smalti.errors import Damaged, NotFound, Refused
from smalti.settings import Settings
from smalti.store.names import check_name
from smalti.store.segments import in_one
from smalti.store.values import Ref, Tree

if TYPE_CHECKING:
    from smalti.store import Store

P = ParamSpec("P")
R = TypeVar("R")

FOLDER = "memoized/"
KEY_MODES = ("dataset", "data", "full")
KEY_DIGITS = 32


@dataclass(frozen=True, slots=True)
class _Memory:
    """Where results are kept, and what they are found by."""

    store: Store
    key_mode: str


_MEMORY: ContextVar[_Memory | None] = ContextVar("memory", default=None)


@contextmanager
def remembering(store: Store, settings: Settings | None = None) -> Iterator[None]:
    """Let memoized functions that are called in here keep their results in ``store``, and find them there.

    Args:
        settings: those of the environment by default.

    Raises:
        Refused: the key mode is not one.
    """
    settings = settings or Settings()
    if settings.memoize_key_mode not in KEY_MODES:
        raise Refused(
            f"SMALTI_MEMOIZE_KEY_MODE is {settings.memoize_key_mode!r}; it may be {', '.join(KEY_MODES)}, "
            "or not be set at all."
        )
    token = _MEMORY.set(None if settings.disable_memoize else _Memory(store, settings.memoize_key_mode))
    try:
        yield
    finally:
        _MEMORY.reset(token)


def memoize(*, version: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function's results be remembered; it must give equal results for equal arguments.

    Inside of :func:`remembering`, what comes back is what the store reads: arrays are read-only, tuples are lists.
    Callers that compute the same at the same time all get what the first of them kept. A result that cannot be read
    any more is computed again.

    Args:
        version: raise it whenever the function's results change.

    Raises:
        Refused: the function's name would not find the same function later; when it is called, an argument that has
            no content to find a result by, or a result that no codec can store.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        folder = FOLDER + _lasting_name(function)

        @functools.wraps(function)
        def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
            if (memory := _MEMORY.get()) is None:
                return function(*args, **kwargs)
            name = f"{folder}/{_key(function, version, memory.key_mode, *args, **kwargs)}"
            if kept := recall(memory.store, name):
                return kept[0]  # type: ignore[no-any-return]
            ref = memory.store.put(function(*args, **kwargs), name)
            kept = recall(memory.store, name) or (memory.store.get(ref),)  # forgotten just now
            return kept[0]  # type: ignore[no-any-return]

        return remembered

    return decorate


def _lasting_name(function: Callable[..., Any]) -> str:
    name = f"{function.__module__}.{function.__qualname__}"
    if function.__module__ == "__main__" or "<" in name:
        raise Refused(f"{name} is not found by this name in another process; memoize a function of a module.")
    return check_name(name)


def recall(store: Store, name: str) -> tuple[Any] | None:
    """Return the first result of that name that can be read, in a tuple of its own; None if none can.

    Args:
        name: begins with ``FOLDER``, so that ``forget_all`` knows it.
    """
    try:
        versions = store.versions(name)
    except Damaged:
        store.forget(name)
        return None
    for version in versions:
        with suppress(NotFound, Damaged, Refused):  # collected, broken, or written by a version we do not know
            return (store.get(version.address),)
    return None


def _key(function: Callable[..., Any], version: int, mode: str, *args: Any, **kwargs: Any) -> str:
    """Return the digits that all calls with equal arguments share, however these are spelt."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    about: dict[str, Json] = {"version": version, "mode": mode}
    if mode == "full":
        about |= {"source": _source(function), "python": platform.python_version(), "numpy": np.__version__}
    for name, value in bound.arguments.items():
        try:
            about[f"argument {name}"] = _content(value, by_name=mode == "dataset")
        except Refused as error:
            raise Refused(
                f"the argument {name} of {function.__qualname__} tells no result from another: {error}"
            ) from error
    return hashlib.sha256(canonical.dumps(about)).hexdigest()[:KEY_DIGITS]


def _source(function: Callable[..., Any]) -> str:
    module = inspect.getmodule(function)
    try:
        return inspect.getsource(module) if module else ""
    except OSError as error:
        raise Refused(
            f"the source of {function.__module__} cannot be read, which SMALTI_MEMOIZE_KEY_MODE=full needs; "
            "take the mode data."
        ) from error


def _content(value: Any, by_name: bool) -> Json:
    """Return JSON that differs whenever the value does; a scan is its metadata if it may count ``by_name``."""
    if isinstance(value, Ref):
        return {"stored": value.digest}
    if by_name and isinstance(value, Scan):
        return {"scan": value.metadata.model_dump(mode="json")}
    if isinstance(value, list | tuple):
        return {"items": [_content(item, by_name) for item in value]}
    encoded = CODECS.encode(value)
    if isinstance(encoded, Tree):
        children = {name: _content(child, by_name) for name, child in encoded.children.items()}
        return {"tree": encoded.type, "attributes": canonical.normalise(encoded.attrs), "children": children}
    return {
        "header": encoded.header,
        "content": [blake3(in_one(buffer.data)).hexdigest() for buffer in encoded.buffers],
    }


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was remembered: how many results, and the bytes of content that nothing else in the store needs."""

    results: int
    nbytes: int


def forget_all(store: Store, *, dry_run: bool = False) -> Forgotten:
    """Take the names of all remembered results away, so that ``gc`` may collect them; a dry run only counts.

    Raises:
        Damaged: a name or a record is not what was written; nothing was forgotten.
    """
    names = {version.name for version in store.names()}
    remembered, others = set[str](), {*store.pins()}.union(*(manifest.addresses() for manifest in store.manifests()))
    for name in names:
        addresses = remembered if name.startswith(FOLDER) else others
        addresses.update(version.address for version in store.versions(name))
    only_theirs = _reachable(store, remembered) - _reachable(store, others)
    records = [store.record(address) for address in only_theirs]
    forgotten = {name for name in names if name.startswith(FOLDER)}
    if not dry_run:
        for name in sorted(forgotten):
            store.forget(name)
    return Forgotten(len(forgotten), sum(record.nbytes for record in records if record.kind != "tree"))


def _reachable(store: Store, roots: Iterable[str]) -> set[str]:
    """Return these objects and all their children, as far as they are there."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        address = waiting.pop()
        if address not in found:
            with suppress(NotFound):
                waiting.extend(store.record(address).children.values())
                found.add(address)
    return found
