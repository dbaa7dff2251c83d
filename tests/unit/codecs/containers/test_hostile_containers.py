"""Laws of hostile bytes: nothing is raised, nothing lies outside or twice, and the work is bounded."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smalti.codecs import CODECS
from smalti.codecs.array import array_of
from smalti.codecs.containers import arrays_in, sound_arrays
from smalti.codecs.containers.sound import LEAST_NBYTES, MOST_ARRAYS
from smalti.store.values import ArrayInside
from tests.unit.codecs.containers.test_arrays_in import KEPT, STACK, safetensors, saved


def archive(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


FILES = [
    saved(STACK),
    saved(KEPT["records"]),
    archive(stack=STACK, mask=KEPT["mask"]),
    safetensors(stack=STACK, mask=KEPT["mask"]),
]


def require_sound(data: bytes) -> tuple[ArrayInside, ...]:
    """Return the arrays that are said to lie there: all inside, none overlaps, and each can be stored as it lies."""
    found = arrays_in(memoryview(data))
    taken = np.zeros(len(data), bool)
    for array in found:
        content = b""
        for offset, nbytes in array.runs:
            assert nbytes > 0
            assert 0 <= offset <= offset + nbytes <= len(data)
            assert not taken[offset : offset + nbytes].any()
            taken[offset : offset + nbytes] = True
            content += data[offset : offset + nbytes]
        assert len(content) >= LEAST_NBYTES
        encoded = CODECS.encode(array_of(array.dtype, array.shape, memoryview(content)))
        assert (encoded.header["dtype"], encoded.header["shape"]) == (array.dtype, [*array.shape])  # type: ignore[union-attr]
        assert bytes(encoded.buffers[0].data) == content  # type: ignore[union-attr]
    return found


@settings(max_examples=300)
@given(st.sampled_from([b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x03\x00", bytes(8) + b'{"']), st.binary())
@example(b"\x93NUMPY", b"")
@example(b"P", b"")
def test_any_bytes_are_read(head: bytes, rest: bytes) -> None:
    assert require_sound(head + rest) == ()


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.integers(0, 1 << 32), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6),
    st.booleans(),
)
def test_a_real_file_that_was_changed_says_nothing_that_cannot_be(
    whole: bytes, changes: list[tuple[int, bytes]], cut: bool
) -> None:
    data = bytearray(whole)
    for place, new in changes:  # in the headers, or the table of contents at the end
        at = place % 400 if place % 2 else len(data) - 1 - place % 400
        data[at : at + len(new)] = new
    require_sound(bytes(data[: changes[0][0] % len(data)] if cut else data))


NUMBERS = st.one_of(st.integers(-2, 70_000), st.integers(), st.sampled_from([1 << 63, 1 << 64, None, 1.5, True, "1"]))


@settings(max_examples=300)
@given(st.dictionaries(st.text(max_size=3), st.fixed_dictionaries({
    "dtype": st.sampled_from(["F32", "U8", "BOOL", "BF16", "F8", "", 3, None]),
    "shape": st.one_of(st.lists(NUMBERS, max_size=40), st.just([70_000])),
    "data_offsets": st.one_of(st.lists(NUMBERS, max_size=3), st.just([0, 70_000]), st.just([9, 70_009])),
}), max_size=4))  # fmt: skip
def test_any_table_of_tensors_is_read(table: dict[str, Any]) -> None:
    text = json.dumps(table).encode()
    require_sound(len(text).to_bytes(8, "little") + text + bytes(70_010))


@settings(max_examples=300)
@given(
    st.one_of(
        st.sampled_from(["<f4", ">f4", "|O", "O", "f8,f4", "(2,)f4", "|S0", "|V4", "<U1", "|b1"]), st.text(max_size=9)
    ),
    st.one_of(st.tuples(), st.just((20_000,)), st.lists(st.integers(-1, 1 << 70), max_size=40).map(tuple)),
    st.booleans(),
)
def test_any_header_of_npy_is_read(descr: str, shape: tuple[int, ...], in_fields: bool) -> None:
    described: Any = [("a", descr), ("b", "<f4", shape)] if in_fields else descr
    text = f"{{'descr': {described!r}, 'fortran_order': False, 'shape': {shape!r}, }}\n".encode("utf-8", "replace")
    require_sound(b"\x93NUMPY\x03\x00" + len(text).to_bytes(4, "little") + text + bytes(80_000))


@pytest.mark.parametrize(
    "text",
    ["(" * 9_900, "{'descr': " + "[(" * 4_900, "{'descr': [" + "('a', '<f4'), " * 700, "{'descr': [" + "],   " * 1_900,
     "{'descr': __import__('os').abort()}", "-" * 9_900, "{" + " " * 9_900],
)  # fmt: skip
def test_no_header_is_evaluated(text: str) -> None:
    head = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little")
    assert arrays_in(memoryview(head + text.encode() + bytes(1 << 17))) == ()


def test_deep_and_long_tables_of_tensors_are_nothing() -> None:
    for text in (
        b'{"a":' * 200_000,
        b'{"a":' + b"[" * 200_000,
        b'{"a":' + b"9" * 200_000,
        b'{"a":NaN}',
        b'{"a":1,"a":2}',
    ):
        assert arrays_in(memoryview(len(text).to_bytes(8, "little") + text)) == ()
    assert arrays_in(memoryview(((1 << 64) - 1).to_bytes(8, "little") + b'{"a":1}')) == ()


MEMBERS = archive(a=STACK, b=STACK + 1, c=STACK + 2)


@pytest.mark.parametrize(
    ("field", "says", "left"),
    [("flags", 0x1, 2), ("method", 8, 2), ("offset", 0xFFFFFFF0, 2), ("offset", len(MEMBERS) - 10, 2), ("offset", 7, 2),
     ("offset", 0, 1)],  # where the first member lies, so that two share its bytes
)  # fmt: skip
def test_one_member_that_lies_costs_no_other_that_it_does_not_overlap(field: str, says: int, left: int) -> None:
    second = MEMBERS.index(b"PK\x01\x02", MEMBERS.index(b"PK\x01\x02") + 1)
    at, form = {"flags": (8, "<H"), "method": (10, "<H"), "offset": (42, "<I")}[field]
    data = bytearray(MEMBERS)
    struct.pack_into(form, data, second + at, says)
    assert len(require_sound(MEMBERS)) == 3
    found = require_sound(bytes(data))
    assert found == require_sound(MEMBERS)[::2][-left:]


def test_a_table_of_contents_is_never_read_beyond_what_it_may_be() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as written:
        for number in range(20_000):
            written.writestr(f"{number:05}.npy", b"")
    data = memoryview(buffer.getvalue())
    tracemalloc.start()
    assert arrays_in(data) == ()
    assert tracemalloc.get_traced_memory()[1] < 300_000
    tracemalloc.stop()


def test_the_content_of_a_large_file_is_not_read() -> None:
    data = bytearray(archive(stack=np.zeros(1 << 24, np.float32)))  # 64 MiB
    tracemalloc.start()
    assert len(arrays_in(memoryview(data))) == 1
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def said(*runs: tuple[int, int], dtype: Any = "|u1") -> ArrayInside:
    return ArrayInside(dtype, (sum(nbytes for _, nbytes in runs),), runs)


DATA = memoryview(bytes(1 << 20))  # of 16 bytes for each of LONG
LONG = LEAST_NBYTES


def test_runs_that_touch_are_one() -> None:
    (found,) = sound_arrays([said((0, LONG), (LONG, 5), (1 << 19, LONG), (LONG + 5, LONG))], DATA)
    assert found.runs == ((0, LONG + 5), (1 << 19, LONG), (LONG + 5, LONG))


def test_an_array_in_many_small_pieces_is_left_out() -> None:
    pieces = [(2 * at, 1) for at in range(LONG)]
    assert sound_arrays([said(*pieces)], DATA) == ()


@pytest.mark.parametrize(
    "runs", [[(0, LONG), (LONG - 1, LONG)], [((1 << 20) - LONG + 1, LONG)], [(-1, LONG)], [(0, LONG), (LONG, 0)],
             [(1 << 70, LONG)], [(0, 2 * LONG), (-LONG, -LONG)], []],
)  # fmt: skip
def test_runs_that_cannot_be_are_left_out(runs: list[tuple[int, int]]) -> None:
    assert sound_arrays([said(*runs)], DATA) == ()


@pytest.mark.parametrize(
    "dtype", ["O", "|O8", ">u2", "<f16", "", "u1, O", None, 3, [], [["a"]], [["a", "?"]], {"a": 1}]
)
def test_a_dtype_that_is_no_data_is_left_out(dtype: Any) -> None:
    for itemsize in (1, 2, 8, 9, 16):
        assert sound_arrays([ArrayInside(dtype, (LONG,), ((0, LONG * itemsize),))], DATA) == ()


def test_no_more_arrays_are_taken_than_a_file_may_hold() -> None:
    data = memoryview(bytes((MOST_ARRAYS + 1) * LONG))
    many = [said((at * LONG, LONG)) for at in range(MOST_ARRAYS + 1)]
    assert len(sound_arrays(many, data)) == MOST_ARRAYS
