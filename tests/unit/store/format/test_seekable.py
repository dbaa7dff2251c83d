"""Files compressed in frames come back whole or in part, and damage is found before they are decompressed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.errors import Damaged
from smalti.store.format import seekable
from smalti.store.format.seekable import FOOT_NBYTES, FRAME_NBYTES, Compressed, SeekTable

FILE = np.resize(np.arange(40_000, dtype="<u4"), 700_000).tobytes()  # three frames, the last one short
COMPRESSED = b"".join(Compressed([FILE]))


def table_of(compressed: bytes) -> SeekTable:
    nbytes = seekable.table_nbytes(compressed[-FOOT_NBYTES:], len(compressed), "it")
    return seekable.parse_table(compressed[-nbytes:], len(compressed), "it")


def part_of(compressed: bytes, start: int, stop: int) -> bytes:
    frames = table_of(compressed).frames(start, stop)
    data = seekable.decompress(compressed[frames[0].start : frames[-1].stop], frames, "it")
    first = start // FRAME_NBYTES * FRAME_NBYTES
    return bytes(data[start - first : stop - first])


@settings(max_examples=20, deadline=None)
@given(ends=st.tuples(st.integers(0, len(FILE)), st.integers(0, len(FILE))), cuts=st.lists(st.integers(0, len(FILE))))
def test_any_part_comes_back_however_the_file_came(ends: tuple[int, int], cuts: list[int]) -> None:
    pieces = [FILE[a:b] for a, b in pairwise(sorted({0, len(FILE), *cuts}))]
    compressed = b"".join(Compressed(pieces))
    assert compressed == COMPRESSED, "the pieces do not matter"
    start, stop = sorted(ends)
    if start < stop:
        assert part_of(compressed, start, stop) == FILE[start:stop]


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, len(COMPRESSED) - 1), change=st.integers(1, 255))
def test_a_changed_byte_is_damage(at: int, change: int) -> None:
    changed = bytearray(COMPRESSED)
    changed[at] ^= change
    with pytest.raises(Damaged, match="cannot be decompressed"):
        part_of(bytes(changed), 0, len(FILE))


@pytest.mark.parametrize("nbytes", [0, 1, FOOT_NBYTES, 100, len(COMPRESSED) - 1])
def test_a_file_that_was_cut_is_damage(nbytes: int) -> None:
    with pytest.raises(Damaged, match="cannot be decompressed"):
        part_of(COMPRESSED[:nbytes], 0, 10)
    with pytest.raises(Damaged, match="cannot be decompressed"):
        part_of(COMPRESSED[-nbytes:] if nbytes else b"", 0, 10)


def test_a_forged_number_of_frames_asks_for_no_memory() -> None:
    foot = bytearray(COMPRESSED[-FOOT_NBYTES:])
    foot[:4] = b"\xff" * 4
    with pytest.raises(Damaged, match="cannot be decompressed"):
        seekable.table_nbytes(bytes(foot), len(COMPRESSED), "it")


def test_compression_pays_for_what_repeats_and_not_for_noise() -> None:
    noise = np.random.default_rng(0).integers(0, 256, 2_000_000, np.uint8).tobytes()
    assert seekable.pays([FILE], len(FILE))
    assert not seekable.pays([noise], len(noise))
    assert not seekable.pays([b"small" * 10], 50)
