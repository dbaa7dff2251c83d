"""A dictionary with attribute access, nested, as configurations and metadata are given out."""

from __future__ import annotations

import copy
import math
import pprint
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin

from smalti.directory.errors import AttributeMissing, WrongType
from smalti.errors import Refused

if TYPE_CHECKING:
    from pandas import DataFrame

_PLAIN = (type(None), bool, int, float, str, type, bytes)
_LINE_LENGTH = 80


class Namespace(dict[str, Any]):
    """A dictionary whose items are attributes too.

    An item with the name of a method is reached by ``namespace[name]`` only.

    >>> Namespace(a=1, b=Namespace(c=2)).b.c
    2
    """

    def __getattr__(self, key: str) -> Any:
        try:
            return self[key]
        except KeyError:
            raise AttributeMissing(f"there is no {key!r} among {', '.join(map(str, self)) or 'no fields'}.") from None

    def __setattr__(self, key: str, value: object) -> None:
        self[key] = value

    def __delattr__(self, key: str) -> None:
        try:
            del self[key]
        except KeyError:
            raise AttributeMissing(f"there is no {key!r} to delete.") from None

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        return self

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return type(self), (dict(self),)

    def __repr__(self) -> str:
        return _folded(self, 0, 0)

    def __eq__(self, other: object) -> bool:
        try:
            return all_true(compare(namespacify(self), namespacify(other)))
        except TypeError:
            return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def without(self, key: str) -> Namespace:
        """Return a deep copy without a key."""
        copied = self.deepcopy()
        del copied[key]
        return copied

    def is_superset(self, other: Mapping[str, Any]) -> bool:
        """Tell whether all of ``other`` is in here with equal values."""
        return is_subset(self, other)

    def is_subset(self, other: Mapping[str, Any]) -> bool:
        """Tell whether all of this is in ``other`` with equal values."""
        return is_subset(other, self)

    def is_disjoint(self, other: Mapping[str, Any]) -> bool:
        """Tell whether the two have no key in common, at any depth."""
        return is_disjoint(self, other)

    def to_df(self, name: str = "", separator: str = ".") -> DataFrame:
        """Return one row for each innermost field, indexed by its path, in one column called ``name`` (or 0)."""
        import pandas as pd

        frame = pd.json_normalize(self.to_dict(), sep=separator).T
        return frame.rename({0: name}, axis=1) if name else frame

    def diff(self, other: Mapping[str, Any] | None, name1: str = "self", name2: str = "other") -> Namespace:
        """Return how two namespaces differ, as a list of lines for each.

        >>> Namespace(a=1, b=2).diff(Namespace(b=3)).self
        ['+a: 1', '≠b: 2']
        """
        return diff(self, other, name1, name2)

    def walk(self) -> Iterator[tuple[str, Any]]:
        """Yield every key and value, each followed by those within it."""
        return dict_walk(self)

    def equal_values(self, other: Mapping[str, Any]) -> bool:
        """Tell whether the two have the same keys and values, at every depth."""
        return self == other

    def copy(self) -> Namespace:
        """Return a copy whose values are the same objects."""
        return copy.copy(self)

    def deepcopy(self) -> Namespace:
        """Return a copy whose values are copies too."""
        return copy.deepcopy(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, at every depth."""
        plain: dict[str, Any] = to_dict(self)
        return plain

    def depth(self) -> int:
        """Return how deep it is nested; 1 when nothing in it is."""
        return depth(self)

    def pformat(self) -> str:
        """Return it as text, folded."""
        return pprint.pformat(to_dict(self))

    def all(self) -> bool:
        """Tell whether every value in it, at every depth, is true."""
        return all_true(self)


def namespacify(obj: Any) -> Any:
    """Return mappings and plain objects as ``Namespace``, tuples and arrays as lists, paths as text, at every depth.

    Raises:
        WrongType: a value that a configuration cannot hold.
    """
    try:
        return _namespacified(obj)
    except RecursionError:
        raise WrongType("this is nested too deep, or holds itself.") from None


def _namespacified(obj: Any) -> Any:
    import numpy as np

    if isinstance(obj, np.generic | np.ndarray):  # float64 is a float as well
        return _namespacified(obj.tolist())
    if isinstance(obj, _PLAIN) or get_origin(obj) is not None or isinstance(obj, types.UnionType):
        return obj
    if isinstance(obj, Path):
        return str(obj)
    if isinstance(obj, list | tuple):
        return [_namespacified(item) for item in obj]
    if isinstance(obj, Mapping):
        return Namespace({key: _namespacified(obj[key]) for key in obj})
    if not callable(obj) and hasattr(obj, "__dict__"):
        return _namespacified(vars(obj))
    raise WrongType(
        f"{obj!r} is of type {type(obj).__name__}, which a configuration cannot hold; "
        "give text, numbers, bytes, lists, mappings, arrays, paths or classes."
    )


def diff(
    one: Mapping[str, Any] | None, other: Mapping[str, Any] | None, name1: str = "self", name2: str = "other"
) -> Namespace:
    """Return lines ``+key: value`` (only here), ``-key`` (only there), ``≠key: value`` under either name."""
    if one is None or other is None:
        return Namespace({name1: one, name2: other})
    lines1: list[str] = []
    lines2: list[str] = []

    def compare_level(here: Mapping[str, Any], there: Mapping[str, Any], above: str) -> None:
        for key, value in here.items():
            path = f"{above}{key}"
            if key not in there:
                lines1.append(f"+{path}: {value}")
                lines2.append(f"-{path}")
            elif isinstance(value, Mapping) and isinstance(there[key], Mapping):
                compare_level(value, there[key], f"{path}.")
            elif not _are_equal(value, there[key]):
                lines1.append(f"≠{path}: {value}")
                lines2.append(f"≠{path}: {there[key]}")
        for key in there:
            if key not in here:
                lines1.append(f"-{above}{key}")
                lines2.append(f"+{above}{key}: {there[key]}")

    compare_level(namespacify(one), namespacify(other), "")
    return Namespace({name1: lines1, name2: lines2})


def compare(obj1: Any, obj2: Any) -> bool | Namespace:
    """Return whether two values are equal; of two mappings, a Namespace that says so of each key."""
    if isinstance(obj1, Mapping) and isinstance(obj2, Mapping):
        keys = dict.fromkeys([*obj1, *obj2])
        return Namespace({key: compare(obj1[key], obj2[key]) if key in obj1 and key in obj2 else False for key in keys})
    return _are_equal(obj1, obj2)


def _are_equal(one: Any, other: Any) -> bool:
    """Return whether two values are equal, NaN to NaN too: otherwise no configuration with one is ever found."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_are_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_are_equal, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def all_true(obj: Any) -> bool:
    """Tell whether every element, at every depth, is true; an empty mapping or list is."""
    if isinstance(obj, Mapping):
        return all(map(all_true, obj.values()))
    if isinstance(obj, list | tuple):
        return all(map(all_true, obj))
    if hasattr(obj, "tolist"):
        plain = obj.tolist()
        return all_true(plain) if isinstance(plain, list) else bool(plain)
    return bool(obj)


def is_subset(dict1: Mapping[str, Any], dict2: Mapping[str, Any]) -> bool:
    """Tell whether all of ``dict2`` is in ``dict1`` with equal values."""
    for key, value in dict2.items():
        if key not in dict1:
            return False
        here = dict1[key]
        if isinstance(value, Mapping) and isinstance(here, Mapping):
            if not is_subset(here, value):
                return False
        elif not all_true(compare(namespacify(here), namespacify(value))):
            return False
    return True


def is_superset(dict1: Mapping[str, Any], dict2: Mapping[str, Any]) -> bool:
    """Tell whether ``dict2`` holds all of ``dict1`` with equal values."""
    return is_subset(dict2, dict1)


def is_disjoint(dict1: Mapping[str, Any], dict2: Mapping[str, Any]) -> bool:
    """Tell whether two mappings have no key in common, at any depth."""
    return {key for key, _ in dict_walk(dict1)}.isdisjoint(key for key, _ in dict_walk(dict2))


def merge(dict1: Mapping[str, Any], dict2: Mapping[str, Any]) -> dict[str, Any]:
    """Return both together.

    Raises:
        Refused: they give a key two values.
    """
    disagreed = [key for key in dict1 if key in dict2 and not _are_equal(dict1[key], dict2[key])]
    if disagreed:
        said = "; ".join(f"{key!r} is {dict1[key]!r} and {dict2[key]!r}" for key in disagreed)
        raise Refused(f"these two cannot be merged: {said}.")
    return {**dict1, **dict2}


def to_dict(obj: Any) -> Any:
    """Return the value with plain dictionaries in place of mappings, at every depth."""
    if isinstance(obj, Mapping):
        return {key: to_dict(value) for key, value in obj.items()}
    return [to_dict(value) for value in obj] if isinstance(obj, list) else obj


def depth(obj: Any) -> int:
    """Return how deep mappings are nested; 0 for what is none."""
    return 1 + max(map(depth, obj.values()), default=0) if isinstance(obj, Mapping) else 0


def dict_walk(dictionary: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every key and value of nested mappings, each followed by those within it."""
    for key, value in dictionary.items():
        yield key, value
        if isinstance(value, Mapping):
            yield from dict_walk(value)


def _on_one_line(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_on_one_line, value))}]"
    if isinstance(value, Namespace):
        return f"Namespace({', '.join(f'{key}={_on_one_line(item)}' for key, item in value.items())})"
    return repr(value).replace("\n", " ")


def _folded(value: Any, column: int, indent: int) -> str:
    """Return a value as text: on one line where it fits, else an element a line."""
    line = _on_one_line(value)
    if len(line) <= _LINE_LENGTH - column or not isinstance(value, list | Namespace):
        return line if len(line) <= _LINE_LENGTH - column else repr(value)
    inner = indent + 2
    if isinstance(value, list):
        opened, closed, items = "[", "]", [_folded(item, inner, inner) for item in value]
    else:
        opened, closed = "Namespace(", ")"
        items = [f"{key} = {_folded(item, inner + len(key) + 3, inner)}" for key, item in value.items()]
    joined = (",\n" + " " * inner).join(items)
    return f"{opened}\n{' ' * inner}{joined}\n{' ' * indent}{closed}"
