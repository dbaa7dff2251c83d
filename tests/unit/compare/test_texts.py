"""Laws of comparing bytes: sizes, where they part, and a unified diff of text that patches one into the other."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import open_store
from smalti.compare import BytesDifference, compare
from smalti.compare.texts import compare_small


def patched(before: list[str], diff: tuple[str, ...]) -> list[str]:
    """Return what a unified diff makes of lines."""
    made: list[str] = []
    at = 0
    for line in diff:
        if line.startswith("@@"):
            start = int(line.split(" ")[1][1:].split(",")[0]) - 1
            made += before[at:start]
            at = start
        elif line.startswith(" "):
            assert before[at] == line[1:]
            made.append(before[at])
            at += 1
        elif line.startswith("-"):
            assert before[at] == line[1:]
            at += 1
        else:
            made.append(line[1:])
    return made + before[at:]


lines = st.lists(st.sampled_from(["a", "b", "c", "}", "", "x y"]), max_size=25)


@given(lines, lines)
@settings(deadline=None)
def test_the_diff_of_two_texts_turns_one_into_the_other(one: list[str], other: list[str]) -> None:
    found = compare_small(*("".join(f"{line}\n" for line in some).encode() for some in (one, other)))
    assert patched(one, found.lines) == other


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_where_bytes_part_is_the_first_that_differs(one: bytes, other: bytes) -> None:
    first = compare_small(one, other).first
    if first is None:
        assert one.startswith(other) or other.startswith(one)
    else:
        assert one[:first] == other[:first]
        assert one[first] != other[first]


def stored(one: bytes, other: bytes) -> BytesDifference:
    store = open_store("memory:")
    (found,) = compare(store, store.put(one), store.put(other)).differences
    assert isinstance(found.content, BytesDifference)
    return found.content


def test_large_bytes_part_where_they_do() -> None:
    before = np.random.default_rng(0).bytes(3_000_000)
    after = bytearray(before)
    after[2_345_678] ^= 1
    assert stored(before, bytes(after)).first == 2_345_678
    assert stored(before, before + b"more").first is None


def test_a_last_line_without_an_end_is_another_line() -> None:
    assert stored(b"a", b"a\n").lines[1:] == ("-a (no line end)", "+a")


def test_bytes_that_are_no_text_have_no_lines() -> None:
    assert stored(b"\xff\n", b"\xfe\n").lines_added is None
    assert stored(b"a\0b\n", b"a\0c\n").lines_added is None


def test_a_text_of_very_many_lines_is_cut_and_counted() -> None:
    one = "".join(f"{i}\n" for i in range(60_000)).encode()
    other = "".join(f"{i}{'!' if i % 2 else ''}\n" for i in range(60_000)).encode()
    found = stored(one, other)
    assert (found.lines_added, found.lines_removed, len(found.lines)) == (30_000, 30_000, 400)
    assert found.more > 0
