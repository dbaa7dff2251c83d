"""Laws of canonical JSON: RFC 8785, equal values, equal bytes; Python's types come back; nothing JSON cannot hold."""

from __future__ import annotations

import json
import math
import random
import shutil
import struct
import subprocess
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from smalti import canonical
from smalti.errors import Refused

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | FLOATS | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda v: st.lists(v, max_size=4) | st.lists(v, max_size=4).map(tuple) | st.dictionaries(TEXT, v, max_size=4),
)
SMALL = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | FLOATS | TEXT
SPELLABLE = st.recursive(SMALL, lambda v: st.lists(v, max_size=4) | st.dictionaries(TEXT, v, max_size=4))


def doubles(count: int) -> list[float]:
    """Doubles of random bits, and such as people write."""
    rng = random.Random(0)
    of_bits = (struct.unpack("<d", rng.randbytes(8))[0] for _ in range(count))
    written = (round(rng.uniform(-1, 1) * 10 ** rng.randint(-9, 25), rng.randint(0, 9)) for _ in range(count))
    return [number for number in (*of_bits, *written) if math.isfinite(number)]


def same(a: Any, b: Any) -> bool:
    """Equal, and of the same types, to the sign of a zero and the order of keys."""
    return repr(a) == repr(b)


@given(VALUES)
def test_what_is_described_comes_back_exactly(value: object) -> None:
    plain, types = canonical.describe(value)
    assert same(canonical.restore(json.loads(json.dumps(plain)), types), value)
    assert canonical.canonical_bytes(plain) == rfc8785.dumps(plain)  # type: ignore[arg-type]


@given(SPELLABLE)
def test_the_spelling_is_that_of_rfc_8785(value: Any) -> None:
    """The fast path, Python's own encoder, gives what the package gives."""
    assert canonical.dumps(value) == rfc8785.dumps(value)


def test_doubles_are_spelled_as_the_package_does() -> None:
    for number in doubles(10_000):
        assert canonical.dumps(number) == rfc8785.dumps(number), number.hex()


@pytest.mark.skipif(not shutil.which("node"), reason="there is no JavaScript engine (node) to compare with")
def test_doubles_and_the_order_of_keys_are_those_of_javascript() -> None:
    numbers = doubles(5_000)
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "ö", "a", "A", "", "\uffff", "\U00010000"]
    program = (
        "const [bits, keys] = JSON.parse(require('fs').readFileSync(0));"
        "const view = new DataView(new ArrayBuffer(8));"
        "const told = bits.map(b => (view.setBigUint64(0, BigInt('0x' + b)), JSON.stringify(view.getFloat64(0))));"
        "process.stdout.write(JSON.stringify([told, keys.sort()]));"
    )
    given_ = json.dumps([[struct.pack(">d", number).hex() for number in numbers], keys])
    done = subprocess.run(["node", "-e", program], input=given_, capture_output=True, text=True, check=True)
    spelled, in_order = json.loads(done.stdout)
    assert [canonical.dumps(number).decode() for number in numbers] == spelled
    assert list(json.loads(canonical.dumps(dict.fromkeys(keys, 0)))) == in_order


@given(st.dictionaries(TEXT, SMALL, max_size=6))
def test_the_order_of_keys_does_not_matter(mapping: dict[str, object]) -> None:
    assert canonical.dumps(dict(reversed(mapping.items()))) == canonical.dumps(mapping)


@given(SPELLABLE)
def test_any_json_reader_reads_it(value: object) -> None:
    assert json.loads(canonical.dumps(value), parse_int=float) == value, "its numbers are doubles"


@given(VALUES)
def test_text_is_pythons_own_spelling_in_the_order_given(value: object) -> None:
    read = json.loads(canonical.text(value))
    assert same(read, json.loads(json.dumps(canonical.normalise(value))))


@pytest.mark.parametrize(
    ("types", "document"),
    [
        ({"/a": "tuple"}, {"a": 1}),
        ({"/b": "float"}, {"a": 1}),
        ({"/a/0/1": "int"}, {"a": [1]}),
        ({"/a": "set"}, {"a": [1]}),
        ({"/a": ["float"]}, {"a": 1}),
        ({"": "tuple"}, {"a": 1}),
        ({"/a": "int"}, {"a": "9" * 5000}),
    ],
)
def test_types_that_do_not_fit_are_refused(types: Any, document: Any) -> None:
    with pytest.raises(Refused, match="do not fit the document"):
        canonical.restore(document, types)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, float("inf")]}, r"value\.a\[1\] is inf"),
        ({1: 2}, "write it as '1'"),
        ({"a": {2, 3}}, r"value\.a is a set"),
        ("\ud800", "half a surrogate pair"),
        ({"\udfff": 1}, "half a surrogate pair"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(value: object, message: str) -> None:
    with pytest.raises(Refused, match=message):
        canonical.dumps(value)


@pytest.mark.parametrize("text", [b'{"a":1,"a":2}', b"NaN", b"[Infinity]", b"{", b"", b"[" * 100_000, b"\xff"])
def test_loose_json_is_refused(text: bytes) -> None:
    with pytest.raises(Refused, match="not strict JSON"):
        canonical.loads(text)


def test_what_holds_itself_or_is_too_deep_or_too_large_is_refused() -> None:
    itself: list[object] = []
    itself.append(itself)
    deep: object = 1
    for _ in range(5000):
        deep = [deep]
    for value in (itself, deep):
        with pytest.raises(Refused, match="nested too deep, or holds itself"):
            canonical.dumps(value)
    for number in (2**53, -(2**53), 10**5000):
        with pytest.raises(Refused, match="cannot be written as canonical JSON"):
            canonical.dumps(number)
    with pytest.raises(Refused, match="cannot be written as JSON"):
        canonical.text(10**5000)
