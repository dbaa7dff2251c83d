"""What a class of directories declares: defaults, types, a build method; and the docstring made from these."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_origin

from smalti.directory.errors import ImplementationWarning, WrongType, warn
from smalti.directory.namespaces import merge, namespacify, to_dict
from smalti.errors import Refused

if TYPE_CHECKING:
    from smalti.directory.directory import Directory

_NOTHING = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "COPY_FREE_VARS"}
_WHOLE_CONFIG = {"config", "conf"}


def defaults_of(cls: type[Directory]) -> dict[str, Any]:
    """Return the configuration that holds where none is given: of the inner ``Config`` and of the build method.

    Raises:
        Refused: the two contradict each other.
    """
    config = {} if _is_base(cls) else vars(cls).get("Config")
    of_config = {key: value for key, value in vars(config).items() if not key.startswith("_")} if config else {}
    of_init = {
        name: parameter.default
        for name, parameter in _parameters(cls).items()
        if parameter.default is not parameter.empty
    }
    return _merged(cls, of_config, of_init, "defaults")


def annotations_of(cls: type[Directory]) -> dict[str, Any]:
    """Return the types that the inner ``Config`` and the build method declare.

    Raises:
        Refused: the two contradict each other.
    """
    config = None if _is_base(cls) else vars(cls).get("Config")
    of_config = dict(vars(config).get("__annotations__", {})) if config else {}
    of_init = {
        name: parameter.annotation
        for name, parameter in _parameters(cls).items()
        if parameter.annotation is not parameter.empty
    }
    return _merged(cls, of_config, of_init, "annotations")


def has_build_method(cls: type[Directory]) -> bool:
    """Tell whether the class has an ``__init__`` that does anything."""
    code = getattr(inspect.unwrap(cls.__init__), "__code__", None)
    if code is None:
        return False
    return any(
        instruction.opname not in _NOTHING or (instruction.opname.endswith("CONST") and instruction.argval is not None)
        for instruction in dis.get_instructions(code)
    )


def check_declared(cls: type[Directory]) -> None:
    """Warn where a build method has no configuration, so that nothing tells what it was built from."""
    if has_build_method(cls) and not defaults_of(cls) and not annotations_of(cls):
        warn(f"{cls.__qualname__} has a build method (__init__) and declares no configuration.", ImplementationWarning)


def call_build_method(directory: Directory, config: Mapping[str, Any]) -> None:
    """Call ``__init__`` with nothing, with the whole configuration, or with the fields that it names.

    Raises:
        WrongType: it wants a field that the configuration does not have.
    """
    cls = type(directory)
    parameters = _parameters(cls)
    build: Any = cls.__init__
    if len(parameters) == 1 and set(parameters) <= _WHOLE_CONFIG:
        build(directory, config)
        return
    missing = [
        name for name, parameter in parameters.items() if parameter.default is parameter.empty and name not in config
    ]
    if missing:
        raise WrongType(
            f"{cls.__qualname__}.__init__ takes {', '.join(missing)}, which the configuration does not have; "
            f"it has {', '.join(config)}."
        )
    build(directory, **{name: config[name] for name in parameters if name in config})


def auto_doc(cls: type[Directory] | Directory, cls_doc: bool = True) -> str:
    """Return the docstring of a class with the forms of its call and the types of its configuration."""
    kind = cls if isinstance(cls, type) else type(cls)
    defaults = to_dict(namespacify(defaults_of(kind)))
    fields = ", ".join(f"{key}={value}" for key, value in defaults.items())
    calls = [f"{kind.__qualname__}({fields})", f"{kind.__qualname__}({defaults})"] if defaults else ["(no defaults)"]
    types = ", ".join(f"{key}: {_spelled(value)}" for key, value in annotations_of(kind).items())
    indented = "\n    ".join(calls)
    return (
        f"{(kind.__doc__ or '') if cls_doc else ''}\n\nCalled without arguments it is the same as\n    {indented}\n\n"
        f"Types of the configuration\n    {types or '(no annotations)'}\n"
    )


def _is_base(cls: type) -> bool:
    return cls.__mro__[1:] == (object,)


def _parameters(cls: type[Directory]) -> dict[str, inspect.Parameter]:
    """Return the parameters of the build method that a configuration fills."""
    kinds = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return {parameter.name: parameter for parameter in parameters if parameter.kind not in kinds}


def _merged(cls: type, one: Mapping[str, Any], other: Mapping[str, Any], what: str) -> dict[str, Any]:
    try:
        return merge(one, other)
    except Refused as error:
        raise Refused(f"conflicting {what} of Config and __init__ in {cls.__qualname__}: {error}") from None


def _spelled(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    if get_origin(annotation) is not None:
        return repr(annotation)
    return getattr(annotation, "__qualname__", None) or repr(annotation)
