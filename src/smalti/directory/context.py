"""Settings that hold for a thread or task: the root directory, what is compared or deleted, the known types.

What the main thread sets holds in every thread that has not set its own; what a thread or an asyncio task sets holds
there alone, and so does always that something is deleted. (In IPython each cell may be a task of its own: there, too,
what the main thread sets holds everywhere.)
"""

from __future__ import annotations

import functools
import inspect
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from smalti.errors import Refused

if TYPE_CHECKING:
    from smalti.directory.directory import Directory

T = TypeVar("T")
Decorated = TypeVar("Decorated", bound=Callable[..., Any])
_UNSET: Any = object()


class Setting(Generic[T]):
    """A value of this thread or task; where none was set, that of the main thread, unless it holds ``only_here``."""

    def __init__(self, name: str, default: T, only_here: bool = False) -> None:
        self._own: ContextVar[T] = ContextVar(name)
        self._shared = default
        self._only_here = only_here

    def get(self, default: object = None) -> T:
        """Return the value that holds here; ``default`` is for callers used to a ``ContextVar``, and never needed."""
        own = self._own.get(_UNSET)
        return self._shared if own is _UNSET else own

    def set(self, value: T) -> tuple[Token[T], T]:
        """Set the value, and return what ``reset`` takes it back with."""
        before = self._own.set(value), self._shared
        if not self._only_here and _is_shared():
            self._shared = value
        return before

    def reset(self, before: tuple[Token[T], T]) -> None:
        """Take back a ``set`` of the same thread or task."""
        token, shared = before
        self._own.reset(token)
        if not self._only_here and _is_shared():
            self._shared = shared


def _is_shared() -> bool:
    """Tell whether what is set here holds in other threads too: in the main thread, outside an asyncio task."""
    if threading.current_thread() is not threading.main_thread():
        return False
    ipython = sys.modules.get("IPython")
    return not _is_in_task() or (ipython is not None and ipython.get_ipython() is not None)


def _is_in_task() -> bool:
    asyncio = sys.modules.get("asyncio")  # where nobody imported it, no loop runs
    try:
        return asyncio is not None and asyncio.current_task() is not None
    except RuntimeError:  # no loop runs
        return False


class context:  # noqa: N801, its name is public
    """All settings, each with ``get``, ``set`` and ``reset``."""

    root_dir: Setting[Path | None] = Setting("root_dir", None)
    within_root_context: Setting[bool] = Setting("within_root_context", False)
    enforce_config_match: Setting[bool] = Setting("enforce_config_match", True)
    check_size_on_init: Setting[bool] = Setting("check_size_on_init", False)
    verbosity_level: Setting[int] = Setting("verbosity_level", 1)
    delete_if_exists: Setting[bool] = Setting("delete_if_exists", False, only_here=True)
    scope: Setting[dict[str, type] | None] = Setting("scope", None)


def set_root_dir(root_dir: str | Path | None) -> None:
    """Set the folder that names of directories are relative to; None for the current folder."""
    context.root_dir.set(None if root_dir is None else Path(root_dir).expanduser())


def get_root_dir() -> Path:
    """Return the folder that names of directories are relative to, ``Path(".")`` when none was set."""
    return context.root_dir.get() or Path()


@contextmanager
def set_root_context(root_dir: str | Path | None = None) -> Iterator[None]:
    """Set the root directory for a ``with`` block; decorators of precedence 1 and 2 do not apply in it."""
    root_before = context.root_dir.set(None if root_dir is None else Path(root_dir).expanduser())
    within_before = context.within_root_context.set(True)
    try:
        yield
    finally:
        context.within_root_context.reset(within_before)
        context.root_dir.reset(root_before)


def root(root_dir: str | Path | None = None, precedence: Literal[1, 2, 3] = 2) -> Callable[[Decorated], Decorated]:
    """Return a decorator that gives a function, or the directories of a class, a root directory of their own.

    Args:
        root_dir: the folder; None leaves the root as it is.
        precedence: 1 holds where neither ``set_root_dir`` nor ``set_root_context`` set a root, 2 holds outside
            ``set_root_context``, 3 holds always.

    Raises:
        Refused: another precedence; what is decorated is neither a function nor a class, or is a generator.
    """
    if precedence not in {1, 2, 3}:
        raise Refused(f"the precedence of a root is 1, 2 or 3, not {precedence!r}.")

    @contextmanager
    def rooted() -> Iterator[None]:
        free = not context.within_root_context.get()
        unset = context.root_dir.get() is None
        if root_dir is None or not (precedence == 3 or (free and (precedence == 2 or unset))):
            yield
            return
        before = context.root_dir.set(Path(root_dir).expanduser())
        try:
            yield
        finally:
            context.root_dir.reset(before)

    def decorate(decorated: Decorated) -> Decorated:
        if inspect.isclass(decorated):
            where = "__init__" if decorated.__new__ is object.__new__ else "__new__"
            setattr(decorated, where, _within(rooted, getattr(decorated, where)))
            return cast(Decorated, decorated)
        if inspect.isgeneratorfunction(decorated) or inspect.isasyncgenfunction(decorated):
            raise Refused(f"{decorated.__name__} is a generator, so its body runs later; use set_root_context in it.")
        if not inspect.isfunction(decorated):
            raise Refused(f"root decorates a function or a class, not {decorated!r}.")
        return _within(rooted, decorated)

    return decorate


def _within(manager: Callable[[], Any], function: Decorated) -> Decorated:
    """Return the function run within the context manager."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            with manager():
                return await function(*args, **kwargs)

        return cast(Decorated, run_async)

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with manager():
            return function(*args, **kwargs)

    return cast(Decorated, run)


@contextmanager
def delete_if_exists(enable: bool = True) -> Iterator[None]:
    """Delete, in a ``with`` block, the folder at the path of every directory that this thread makes by its path."""
    before = context.delete_if_exists.set(enable)
    try:
        yield
    finally:
        context.delete_if_exists.reset(before)


def enforce_config_match(enforce: bool) -> None:
    """Set whether another configuration than the stored one is an error (the default) or a warning."""
    context.enforce_config_match.set(enforce)


def check_size_on_init(enforce: bool) -> None:
    """Set whether the size of each directory is checked when it is opened, which reads the whole tree."""
    context.check_size_on_init.set(enforce)


def get_check_size_on_init() -> bool:
    """Return whether the size of each directory is checked when it is opened."""
    return context.check_size_on_init.get()


def set_verbosity_level(level: Literal[0, 1, 2]) -> None:
    """Set how directories show themselves: 0 one line, 1 two levels and 25 lines, 2 everything.

    Raises:
        Refused: another level.
    """
    if level not in {0, 1, 2}:
        raise Refused(f"the verbosity level is 0, 1 or 2, not {level!r}.")
    context.verbosity_level.set(level)


def set_scope(scope: dict[str, type] | None) -> None:
    """Set the classes that the field ``type`` of a configuration may name; None for all that are defined."""
    context.scope.set(scope)


def get_scope() -> dict[str, type]:
    """Return the classes that the field ``type`` of a configuration may name, by that name."""
    scope = context.scope.get()
    return get_default_scope() if scope is None else scope


def get_default_scope(cls: type[Directory] | None = None) -> dict[str, type]:
    """Return ``cls`` (``Directory``) and all classes derived from it, by qualified name; of equal names the newest."""
    from smalti.directory.directory import Directory

    def subclasses(kind: type) -> Iterator[type]:
        yield from itertools.chain([kind], *map(subclasses, kind.__subclasses__()))

    return {kind.__qualname__: kind for kind in subclasses(cls or Directory) if "_made_up" not in vars(kind)}


def reset_scope(cls: type[Directory] | None = None) -> None:
    """Set the scope to ``cls`` (``Directory``) and all classes that are derived from it now."""
    set_scope(get_default_scope(cls))
