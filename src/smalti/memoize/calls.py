"""Functions whose results are remembered, and where."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from smalti.errors import Damaged, NotFound, Refused
from smalti.memoize.keys import key_of
from smalti.settings import Settings
from smalti.store.names import check_name

if TYPE_CHECKING:
    from smalti.store import Store

P = ParamSpec("P")
R = TypeVar("R")

FOLDER = "memoized/"
KEY_MODES = ("dataset", "data", "full")


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

    Inside of :func:`remembering`, what comes back is what the store reads, the first time as well: arrays are
    read-only, in C order and little endian. Callers that compute the same at the same time all get what the first of
    them kept. A result that cannot be read any more is computed again. One that no codec stores exactly is handed over
    as it is, with a warning that it is not remembered.

    Args:
        version: raise it whenever the function's results change.

    Raises:
        Refused: the function's name would not find the same function later; when it is called, an argument has no
            content to find a result by.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        folder = FOLDER + _lasting_name(function)

        @functools.wraps(function)
        def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
            if (memory := _MEMORY.get()) is None:
                return function(*args, **kwargs)
            name = f"{folder}/{key_of(function, version, memory.key_mode, *args, **kwargs)}"
            if kept := recall(memory.store, name):
                return kept[0]  # type: ignore[no-any-return]
            result = function(*args, **kwargs)
            try:
                ref = memory.store.put(result, name)
            except Refused as error:
                warnings.warn(f"the result of {function.__qualname__} is not remembered: {error}", stacklevel=2)
                return result
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
    """Return the first result of that name that can be read, in a tuple of its own; None where there is none.

    Args:
        name: begins with ``FOLDER``, so that ``forget_all`` knows it.
    """
    if not store.exists():
        return None
    try:
        versions = store.versions(name)
    except Damaged:
        store.forget(name)
        return None
    for version in versions:
        with suppress(NotFound, Damaged, Refused):  # collected, broken, or written by a version we do not know
            return (store.get(version.address),)
    return None
