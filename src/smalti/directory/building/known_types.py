"""The class that the field ``type`` of a configuration names: one that is defined already, never an import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from smalti.directory.context import get_scope
from smalti.directory.errors import ConfigWarning, PlaceTaken, WrongType, warn
from smalti.directory.metadata import type_name

if TYPE_CHECKING:
    from pathlib import Path

    from smalti.directory.directory import Directory

_made_up: dict[str, type[Directory]] = {}


def class_named(name: str) -> type[Directory] | None:
    """Return the class of a name: its name in the scope, or its module and qualified name with a dot between."""
    scope = get_scope()
    if name in scope:
        return cast("type[Directory]", scope[name])
    full = (kind for kind in scope.values() if f"{kind.__module__}.{kind.__qualname__}" == name)
    return cast("type[Directory] | None", next(full, None))


def class_of(requested: type[Directory], kind: Any) -> type[Directory]:
    """Return the class that a given configuration asks for: that of its ``type``, else the requested one.

    Raises:
        WrongType: it is a class of something else.
    """
    if isinstance(kind, type):
        if not issubclass(kind, _base(requested)):
            raise WrongType(f"the type {kind.__qualname__} is not derived from Directory.")
        return kind
    if not isinstance(kind, str) or kind == type_name(requested):
        return requested
    return class_named(kind) or _class_made_up(requested, kind)


def class_of_stored(requested: type[Directory], kind: Any, path: Path) -> type[Directory]:
    """Return the class of the directory that is stored at a path.

    Raises:
        PlaceTaken: it is none of the requested class.
    """
    if not isinstance(kind, str) or kind == type_name(requested):
        return requested
    known = class_named(kind)
    if known is not None and issubclass(known, requested):
        return known
    if known is None and requested is _base(requested):
        return _class_made_up(requested, kind)
    raise PlaceTaken(f"{path} is a {kind}, not a {requested.__module__}.{requested.__qualname__}; open it as that.")


def _base(cls: type[Directory]) -> type[Directory]:
    return cast("type[Directory]", cls.__mro__[-2])


def _class_made_up(requested: type[Directory], name: str) -> type[Directory]:
    """Return a class that stands for one that is not defined here, so that the data can be looked at."""
    warn(
        f"the type {name!r} is no class that is defined here, so a class of that name without methods stands for it; "
        "import the module that defines it (in a notebook that reloads modules, call reset_scope(Directory)).",
        ConfigWarning,
    )
    if name not in _made_up:
        _made_up[name] = cast("type[Directory]", type(name.replace("\0", ""), (_base(requested),), {"_made_up": True}))
    return _made_up[name]
