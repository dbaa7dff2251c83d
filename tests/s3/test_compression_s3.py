"""Compressed files in a bucket: zstd's own tool reads them, ranges read their frames only, damage is a sentence."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import open_store
from smalti.errors import Damaged
from smalti.store import Store
from smalti.store.backends.s3.bucket import PART_NBYTES
from smalti.store.format import seekable
from smalti.store.format.seekable import FRAME_NBYTES
from smalti.store.identity import KEY
from smalti.testing import DAMAGES, FolderBytes

COUNTS = np.sqrt(np.random.default_rng(0).poisson(2, (160, 128, 128))).astype(np.float32)  # 10 MiB
NOISE = np.random.default_rng(0).integers(0, 256, 3 * FRAME_NBYTES, np.uint8).tobytes()
FAULTS = ("lose_reply", "cut", "busy", "flip_a_bit")


def compressed(stored: dict) -> str:
    (key,) = (key for key in stored if key.endswith(".zst"))
    return key


def unzstd(folder: Path) -> None:
    """Make the ordinary files of a copied bucket, as docs/s3.md says."""
    if not shutil.which("zstd"):
        pytest.skip("the zstd tool is not installed; on Debian: apt-get install zstd")
    command = ["find", str(folder), "-name", "*.zst", "-exec", "zstd", "-q", "-d", "--rm", "{}", "+"]
    subprocess.run(command, check=True)


class TestInABucket:
    def test_what_saves_a_tenth_goes_up_compressed(self, store: Store, stored: dict, tmp_path: Path) -> None:
        ref = store.put(COUNTS)
        assert ref.new_bytes < COUNTS.nbytes / 4
        (tmp_path / "data.npy.zst").write_bytes(stored[compressed(stored)])
        unzstd(tmp_path)
        np.testing.assert_array_equal(np.load(tmp_path / "data.npy"), COUNTS)
        np.testing.assert_array_equal(store.get(ref), COUNTS)
        assert store.put(COUNTS).new_bytes == 0
        assert store.fsck().clean

    def test_what_does_not_stays_as_it_is(self, store: Store, stored: dict) -> None:
        store.put(NOISE)
        store.put(np.zeros(1000))
        assert not [key for key in stored if key.endswith(".zst")]

    def test_a_slice_fetches_its_frames_and_the_table(self, store: Store, wire) -> None:
        lazy = store.open(store.put(COUNTS))
        wire.seen.clear()
        np.testing.assert_array_equal(lazy[100:102], COUNTS[100:102])
        np.testing.assert_array_equal(lazy[101, 5:9], COUNTS[101, 5:9])
        ranges = [e.headers["range"] for e in wire.seen if e.path.endswith("data.npy.zst")]
        assert [r.startswith("bytes=-") for r in ranges] == [True, False]
        (fetched,) = wire.fetched("data.npy.zst")
        assert fetched[1] - fetched[0] < FRAME_NBYTES / 2

    def test_a_small_one_is_one_request(self, store: Store, wire) -> None:
        ref = store.put(np.zeros((300, 4096)))
        wire.seen.clear()
        np.testing.assert_array_equal(store.get(ref), np.zeros((300, 4096)))
        assert sum(e.path.endswith(".zst") for e in wire.seen) == 1

    def test_large_ones_go_up_and_come_back_in_parts(self, store: Store, wire) -> None:
        values = np.random.default_rng(0).integers(0, 2**7, 4 * PART_NBYTES, np.uint8)  # seven bits of eight
        ref = store.put(values)
        assert sum(e.method == "PUT" and "partNumber" in e.path for e in wire.seen) == 4
        wire.seen.clear()
        np.testing.assert_array_equal(store.get(ref), values)
        assert len(wire.fetched("data.npy.zst")) == 4

    def test_the_new_leaves_of_a_near_duplicate_are_compressed_too(self, store: Store, stored: dict) -> None:
        store.put(COUNTS, name="counts")
        changed = COUNTS.copy()
        changed[10:50] = COUNTS[50:90] + 1
        ref = store.put(changed, name="counts")
        assert any(key.endswith("delta.bin.zst") for key in stored)
        assert ref.new_bytes < 40 * COUNTS[0].nbytes / 4
        np.testing.assert_array_equal(store.get(ref), changed)
        assert store.fsck().clean

    @pytest.mark.parametrize("kind", [*sorted(DAMAGES), "forged"])
    def test_damage_is_found_named_and_mended(self, store: Store, stored: dict, kind: str) -> None:
        ref = store.put(COUNTS[:20])
        key = compressed(stored)
        whole = stored[key]
        for seed in range(4):
            changed = forged(whole, seed) if kind == "forged" else DAMAGES[kind](whole, random.Random(seed))
            if changed == whole:
                continue
            stored[key] = changed
            (problem,) = store.fsck().problems
            assert "data.npy.zst" in problem.what
            with pytest.raises(Damaged, match=r"data\.npy\.zst of sha256:"):
                store.get(ref)
            assert store.put(COUNTS[:20]).new_bytes > 0
            np.testing.assert_array_equal(store.get(ref), COUNTS[:20])

    def test_a_copy_in_a_folder_is_a_store_once_decompressed(self, store: Store, stored: dict, tmp_path: Path) -> None:
        store.put(COUNTS[:80], name="counts")
        store.put(COUNTS[1:81], name="counts")
        FolderBytes(tmp_path).update({**stored, KEY: stored[KEY]})
        unzstd(tmp_path)
        local = open_store(tmp_path)
        np.testing.assert_array_equal(local.get("counts"), COUNTS[1:81])
        assert local.fsck().clean

    @pytest.mark.parametrize(
        ("name", "fault"),
        [(name, fault) for name in (".zst", "recipe.json", "leaves.bin") for fault in FAULTS]
        + [("writing/", "lose_reply")],
    )
    def test_a_fault_on_the_wire_changes_nothing_of_what_is_read(self, store: Store, wire, fault, name) -> None:
        counts, changed = COUNTS[:48], COUNTS[:48].copy()
        changed[8:24] = COUNTS[50:66] + 1
        wrong = {"before": wire.answer(503, "SlowDown")} if fault == "busy" else {"after": getattr(wire, fault)}
        store.put(counts, name="counts")
        for method in ("PUT", "GET") if fault in ("lose_reply", "busy") else ("GET",):
            wire.harm(method, name, **wrong)
        ref = None
        for _ in range(2):  # a reply that came changed may be an error once
            try:
                ref = store.put(changed, name="counts")
                np.testing.assert_array_equal(store.get("counts"), changed)
            except Damaged:
                continue
        assert ref
        np.testing.assert_array_equal(store.get("counts"), changed)
        assert store.fsck().clean


def forged(whole: bytes, seed: int) -> bytes:
    """Let the table promise more than there is: 4 GB frames, a hundred million of them."""
    frames, descriptor, magic = struct.unpack("<IBI", whole[-9:])
    entries = bytearray(whole[-9 - 8 * frames : -9])
    if seed % 2:
        entries[4:8] = b"\xff" * 4
        return whole[: -9 - 8 * frames] + bytes(entries) + whole[-9:]
    return whole[:-9] + struct.pack("<IBI", 100_000_000, descriptor, magic)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_pieces_come_back_in_any_range(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(0, 2 * FRAME_NBYTES), min_size=1, max_size=5).filter(sum))
    letters = np.random.default_rng(sum(sizes)).integers(0, 4, sum(sizes), np.uint8).tobytes()
    ends = np.cumsum(sizes).tolist()
    pieces = [letters[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    file = b"".join(seekable.Compressed(pieces))
    foot = file[-seekable.FOOT_NBYTES :]
    nbytes = seekable.table_nbytes(foot, len(file), "it")
    table = seekable.parse_table(file[-nbytes:], len(file), "it")
    assert table.nbytes == len(letters)
    start = data.draw(st.integers(0, len(letters) - 1))
    stop = data.draw(st.integers(start + 1, len(letters)))
    frames = table.frames(start, stop)
    found = seekable.decompress(file[frames[0].start : frames[-1].stop], frames, "it")
    assert found[start % FRAME_NBYTES :][: stop - start] == letters[start:stop]
    with pytest.raises(Damaged):
        seekable.parse_table(file[-nbytes:], len(file) + 1, "it")
