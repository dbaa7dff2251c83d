"""The forms of the constructor: which argument is the path and which the configuration, and what a path means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smalti.directory.context import get_root_dir
from smalti.directory.errors import WrongType
from smalti.errors import Refused

_FORMS = """the arguments of a directory are one of
    Directory()
    Directory(config: Mapping)  Directory(config=config)  Directory(**config)
    Directory(path: Path)       Directory(path, config)   Directory(path, config=config)   Directory(path, **config)
    Directory(name: str)        Directory(name, config)   Directory(name, config=config)   Directory(name, **config)
with name relative to the root directory"""


def parsed(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Path | None, dict[str, Any] | None]:
    """Return the path, resolved, and the configuration; None for what is not given.

    Raises:
        WrongType: they are in no valid form.
        Refused: the name is empty.
    """
    rest = list(args)
    path = resolved(rest.pop(0)) if rest and isinstance(rest[0], str | Path) else None
    if rest and not kwargs and isinstance(rest[0], Mapping):
        config: Any = rest.pop(0)
    elif not rest and set(kwargs) == {"config"}:
        config = kwargs["config"]
    else:
        config = dict(kwargs) or None
    if rest or not (config is None or isinstance(config, Mapping)):
        given = ", ".join([*(repr(arg) for arg in args), *(f"{key}={value!r}" for key, value in kwargs.items())])
        raise WrongType(f"{_FORMS}; not ({given}).")
    return path, None if config is None else dict(config)


def resolved(place: str | Path) -> Path:
    """Return the absolute path that a path or a name stands for.

    A name is relative to the root directory; one that begins with ``.`` or ``~`` is a path, as every ``Path`` is;
    ``@/name`` is relative to the root directory too.

    Raises:
        Refused: it is empty.
    """
    if isinstance(place, str):
        if not place or "\0" in place:
            raise Refused(f"{place!r} is no name of a directory; give at least one character, and no zero byte.")
        path = Path(place) if place[0] in ".~@" else get_root_dir() / place
    else:
        path = place
    if path.parts[:1] == ("@",):
        path = get_root_dir().joinpath(*path.parts[1:])
    return path.expanduser().resolve()
