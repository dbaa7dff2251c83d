"""What a child of the sandbox answers: its form is checked before it is used, since the file may have written it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from smalti import canonical, errors
from smalti.contracts.violation import Violation, shown
from smalti.errors import Refused, SmaltiError

if TYPE_CHECKING:
    from smalti.store.values import ArrayInside

Document = dict[str, Any]
_MOST_COUNTED = (1 << 63) - 1


class NoAnswer(ValueError):
    """What no function of this library answers when it does its work; says what the process did instead."""


def result_of(answer: bytes) -> dict[str, Any]:
    """Return the result in a child's answer, its texts made printable.

    Raises:
        SmaltiError: the error that the answer names.
        NoAnswer: it is none.
    """
    try:
        said = _printable(canonical.loads(answer))
    except Refused as error:
        raise NoAnswer("gave no answer that makes sense") from error
    match said:
        case {"result": dict(result)} if len(said) == 1:
            return result
        case {"error": str(name), "message": str(message)} if len(said) == 2:
            kind = getattr(errors, name, None)
            if isinstance(kind, type) and issubclass(kind, SmaltiError):
                raise kind(message)
        case {"failure": str(failure)}:
            raise NoAnswer(f"failed: {shown(failure)}")
    raise NoAnswer("gave no answer that makes sense")


def checked_document(said: Mapping[str, Any], contract_named: bool = False) -> Document:
    """Return a document of :func:`smalti.ingest.validate.document`, all of its fields of the types they have.

    Args:
        contract_named: then it may lack a kind, and may also be ``usage``, why there is no such contract.

    Raises:
        NoAnswer: it is none, or contradicts itself.
    """
    if contract_named and said.keys() == {"usage"} and _is_text(said["usage"]):
        return dict(said)
    if said.keys() != _FIELDS.keys():
        odd = ", ".join(sorted(said.keys() ^ _FIELDS.keys()))
        raise NoAnswer(f"answered a document of other fields: {shown(odd)}")
    for name, holds in _FIELDS.items():
        if not holds(said[name]):
            raise NoAnswer(f"answered a document whose {name} is {shown(repr(said[name]))}")
    if said["accepted"] and (said["contract"] is None or (said["kind"] is None and not contract_named)):
        raise NoAnswer("answered a document that accepts a file as nothing")
    wrong = said["reason"] is not None or any(v["severity"] == "error" for v in said["violations"])
    if said["accepted"] == wrong:
        raise NoAnswer("answered a document that contradicts itself")
    return dict(said)


def checked_arrays(said: Mapping[str, Any]) -> tuple[ArrayInside, ...]:
    """Return the arrays that :func:`smalti.ingest.confined.stored_arrays` names, of plain dtypes and not too many.

    Whether they can lie in the file, :func:`smalti.codecs.containers.sound_arrays` says.

    Raises:
        NoAnswer: there is anything else in the answer.
    """
    # With numpy, which the sandbox starts without.
    from smalti.codecs.containers.sound import MOST_ARRAYS, MOST_AXES, MOST_RUNS
    from smalti.ingest.handover import PLAIN_DTYPE
    from smalti.store.values import ArrayInside

    def is_array(value: Any) -> bool:
        match value:
            case [str(dtype), list(shape), list(numbers)]:
                known = PLAIN_DTYPE.fullmatch(dtype) is not None and len(shape) <= MOST_AXES
                return known and len(numbers) % 2 == 0 and all(map(_is_count, (*shape, *numbers)))
        return False

    if said.keys() != {"arrays"} or not _all(is_array)(said["arrays"]):
        raise NoAnswer("answered what is no list of arrays")
    arrays = said["arrays"]
    if len(arrays) > MOST_ARRAYS or sum(len(numbers) // 2 for _, _, numbers in arrays) > MOST_RUNS:
        raise NoAnswer(f"answered more than {MOST_ARRAYS} arrays or {MOST_RUNS} runs of them")
    return tuple(
        ArrayInside(dtype, tuple(shape), tuple(zip(numbers[::2], numbers[1::2], strict=True)))
        for dtype, shape, numbers in arrays
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _all(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(holds, value))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST_COUNTED


def _is_violation(value: Any) -> bool:
    if not isinstance(value, dict) or value.keys() != {field.name for field in fields(Violation)} | {"message"}:
        return False
    texts = all(_is_text(text) for name, text in value.items() if name != "index")
    return texts and value["severity"] in ("error", "warning") and _all(_is_count)(value["index"])


def _holds(**keys: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, dict)
        and value.keys() == keys.keys()
        and all(holds(value[key]) for key, holds in keys.items())
    )


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _is_table(value: Any) -> bool:
    if not _HAS_COLUMNS(value):
        return False
    names = {column["name"] for column in value["columns"]}
    return len(value["first"]) <= value["rows"] and all(row.keys() <= names for row in value["first"])


_HAS_COLUMNS = _holds(columns=_all(_holds(name=_is_text, type=_is_text)), rows=_is_count, first=_all(_is_row))
_ARE_ARRAYS = _holds(arrays=_all(_holds(name=_is_text, dtype=_is_text, shape=_all(_is_count))))
_FIELDS: dict[str, Callable[[Any], bool]] = {
    "kind": _is_text_or_none,
    "contract": _is_text_or_none,
    "accepted": lambda value: isinstance(value, bool),
    "reason": _is_text_or_none,
    "violations": _all(_is_violation),
    "skipped": _all(_is_text),
    "shape": lambda value: value is None or _all(_is_count)(value),
    "contents": lambda value: value is None or _is_table(value) or _ARE_ARRAYS(value),
    "conversions": _all(_is_text),
    "assumptions": _all(_is_text),
    "missing": _is_text_or_none,
}


def _printable(value: Any) -> Any:
    """Return JSON with every text printable, but for line ends: no escape sequence reaches a terminal or a page."""
    if isinstance(value, str):
        if value.isprintable():
            return value
        return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in value)
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {_printable(name): _printable(item) for name, item in value.items()}
    return value
