"""In which form an input is wanted, as its annotation says: a reference, a lazy value, or the value itself."""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from smalti import LazyArray, Ref, Store, Tree
from smalti.errors import Refused

_LAZY = (LazyArray, Tree)


def without_none(annotation: Any) -> Any:
    """Return X for ``X | None`` and ``Annotated[X, ...]``, and any other annotation as it is."""
    if get_origin(annotation) is Annotated:
        return without_none(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        others = [argument for argument in get_args(annotation) if argument is not NoneType]
        return without_none(others[0]) if len(others) == 1 else annotation
    return annotation


def allows_none(annotation: Any) -> bool:
    """Tell whether None is a value of an annotation."""
    if get_origin(annotation) is Annotated:
        return allows_none(get_args(annotation)[0])
    return annotation in (Any, None, NoneType, object) or NoneType in get_args(annotation)


def is_mapping(annotation: Any) -> bool:
    """Tell whether an annotation is a mapping, such as ``dict`` or ``dict[str, Ref]``."""
    wanted = without_none(annotation)
    origin = get_origin(wanted) or wanted
    return isinstance(origin, type) and issubclass(origin, Mapping)


def of_each(annotation: Any) -> Any:
    """Return X for ``list[X]`` and ``dict[str, X]``; Any where no X is said."""
    arguments = get_args(without_none(annotation))
    return arguments[-1] if arguments else Any


def read_as(store: Store, reference: str, annotation: Any) -> Any:
    """Return a stored value in the form that is wanted.

    ``Ref`` gives the reference, ``LazyArray`` and ``Tree`` read nothing until they are used, a mapping to one of these
    gives each child of a stored mapping in that form, and anything else is the value, verified.

    Raises:
        Refused: the children of a value are wanted that has none.
    """
    wanted = without_none(annotation)
    if wanted is Ref:
        return store.ref(reference)
    if wanted in _LAZY:
        return store.open(reference)
    child = without_none(of_each(wanted))
    if not is_mapping(wanted) or child not in (Ref, *_LAZY):
        return store.get(reference)
    record = store.record(reference)
    if record.kind != "tree":
        raise Refused(f"{record.address} is of the kind {record.kind} and has no children to give as {wanted}.")
    return {name: read_as(store, address, child) for name, address in record.children.items()}
