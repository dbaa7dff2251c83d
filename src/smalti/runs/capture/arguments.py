"""What the arguments of a call are to a run: parameters, data, or something that cannot be kept."""

from __future__ import annotations

import dataclasses
import inspect
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from smalti import canonical
from smalti.canonical import Json
from smalti.runs.confidential import NOT_KEPT, is_secret, without_secrets
from smalti.runs.numbers import plain_number

SMALL_NBYTES = 4096  # JSON up to this is a parameter, or one of many small results
_BOUND = {"self", "cls"}


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call.

    Attributes:
        parameters: small JSON by name.
        data: what is to be stored, by name.
        noted: what is not, name -> its type and why.
    """

    parameters: dict[str, Json] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    noted: dict[str, str] = field(default_factory=dict)

    def add_parameter(self, name: str, value: Json) -> None:
        """Add a parameter; what it holds that is called like a secret is hidden, and noted."""
        self.parameters[name], hidden = without_secrets(value, name)
        self.noted.update(dict.fromkeys(hidden, NOT_KEPT))


def sort_arguments(bound: inspect.BoundArguments, wanted: frozenset[str] | None, store_inputs: bool) -> Arguments:
    """Tell parameters from data.

    Small JSON, numbers of numpy and paths are parameters; all else is data, which the store may refuse later. What is
    called like a secret (``password``, ``api_key``, ``..._token``) and ``self`` are noted by type alone. In a parameter
    text that is so called is hidden, and so are users and keys in URLs; data is kept as it is.

    Args:
        bound: with defaults applied.
        wanted: only these arguments are data; None: all.
        store_inputs: off, data is noted and not stored.
    """
    found = Arguments()
    for name, value in _named(bound):
        plain = as_parameter(value)
        if is_secret(name) and value is not None:
            found.noted[name] = f"{type_name(value)}: {NOT_KEPT}"
        elif name in _BOUND and name == next(iter(bound.arguments)):
            found.noted[name] = f"{type_name(value)}: what the method belongs to"
        elif plain is not None or value is None:
            found.add_parameter(name, plain)
        elif not store_inputs:
            found.noted[name] = f"{type_name(value)}: store_inputs is off"
        elif wanted is not None and name not in wanted:
            found.noted[name] = f"{type_name(value)}: not among input_params"
        else:
            found.data[name] = value
    return found


def as_parameter(value: Any) -> Json:
    """Return a value as small JSON; None where it is none."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, float) or (type(value).__module__ == "numpy" and not getattr(value, "shape", None)):
        value = plain_number(value)
    if isinstance(value, str | list | tuple | Mapping) and len(value) > SMALL_NBYTES:
        return None
    if not isinstance(value, str | int | float | list | tuple | Mapping):
        return None
    try:
        plain = canonical.normalise(value)
        return plain if len(canonical.spelled(plain)) <= SMALL_NBYTES else None
    except Exception:  # of JSON, or of a value that is not what its type promises: storing it says why
        return None


def fields_of(value: Any) -> Json:
    """Return the fields of a dataclass or an ``argparse.Namespace`` as small JSON; None where it is no such thing."""

    def plain(one: Any) -> Any:
        if dataclasses.is_dataclass(one) and not isinstance(one, type):
            return {field.name: plain(getattr(one, field.name)) for field in dataclasses.fields(one)}
        return {name: plain(inner) for name, inner in vars(one).items()} if isinstance(one, Namespace) else one

    try:
        found = plain(value)
        return None if found is value else as_parameter(found)
    except Exception:  # of a field that is not there, or one that holds itself
        return None


def type_name(value: Any) -> str:
    """Return the full name of a value's type."""
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def _named(bound: inspect.BoundArguments) -> Iterator[tuple[str, Any]]:
    """Yield every argument by a name of its own: those of ``*args`` are numbered."""
    kinds = {name: parameter.kind for name, parameter in bound.signature.parameters.items()}
    for name, value in bound.arguments.items():
        if kinds[name] is inspect.Parameter.VAR_POSITIONAL:
            yield from ((f"{name}_{number}", item) for number, item in enumerate(value))
        elif kinds[name] is inspect.Parameter.VAR_KEYWORD:
            yield from value.items()
        else:
            yield name, value
