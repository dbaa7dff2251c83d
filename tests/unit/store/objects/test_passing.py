"""A large object that is hashed as it passes by has the record of what passed, even if it was written to meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.codecs.array import encode_bytes
from smalti.store.objects.hashing import record_of
from smalti.store.objects.passing import PassingObject
from smalti.store.segments import Segments
from smalti.store.values import Buffer

BLOCK = 1024 * 1024  # what passes at a time
LEAD = 64  # bytes before a block that decide whether a leaf may end at its first rows
MARKED = np.random.default_rng(482).integers(0, 256, 4 * LEAD, np.uint8).tobytes()  # an end 8 bytes behind such a lead


class WrittenTo(Segments):
    """Bytes of which those before a block have changed by the time that the block is asked for."""

    def __getitem__(self, part: slice) -> Segments:
        content = bytearray(bytes(super().__getitem__(part)))
        if part.start == BLOCK - LEAD:
            content[:LEAD] = MARKED[:LEAD]
        return Segments([memoryview(bytes(content))])


def passed(data: Segments) -> tuple[PassingObject, bytes]:
    encoded = encode_bytes("<f8", (data.nbytes // 8,), data)
    passing = PassingObject(encoded)
    content = b"".join(bytes(piece) for piece in [*passing.first(1), *passing.rest()])
    framing = sum(len(piece) for piece in encoded.pieces if not isinstance(piece, Buffer))
    return passing, content[framing:]


@pytest.mark.parametrize("kind", [Segments, WrittenTo])
def test_the_cuts_are_those_of_what_was_kept(kind: type[Segments]) -> None:
    original = bytearray(np.random.default_rng(0).bytes(3 * BLOCK))
    original[BLOCK - 20_000 : BLOCK] = bytes(20_000)
    original[BLOCK : BLOCK + 3 * LEAD] = MARKED[LEAD:]
    passing, kept = passed(kind([memoryview(bytes(original))]))
    assert kept == bytes(original)
    expected = record_of(encode_bytes("<f8", (len(kept) // 8,), memoryview(kept)))
    record = passing.record()
    assert record.leaf_sizes.tolist() == expected.leaf_sizes.tolist()
    assert record.address == expected.address


def test_the_change_would_have_moved_a_cut() -> None:
    original = bytearray(np.random.default_rng(0).bytes(3 * BLOCK))
    original[BLOCK - 20_000 : BLOCK] = bytes(20_000)
    original[BLOCK : BLOCK + 3 * LEAD] = MARKED[LEAD:]
    one = passed(Segments([memoryview(bytes(original))]))[0].record()
    original[BLOCK - LEAD : BLOCK] = MARKED[:LEAD]
    other = passed(Segments([memoryview(bytes(original))]))[0].record()
    assert BLOCK + 8 in np.cumsum(other.leaf_sizes)
    assert BLOCK + 8 not in np.cumsum(one.leaf_sizes)
