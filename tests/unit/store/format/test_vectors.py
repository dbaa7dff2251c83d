"""The vectors of the format hold, for the library, for the reader of one page, and by the letter of the rules."""

from __future__ import annotations

import hashlib
import json
import struct
from base64 import b64decode
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from blake3 import blake3

from smalti import canonical

FOLDER = Path(__file__).parents[4] / "docs/format"
KIB = 1024


def module(name: str) -> ModuleType:
    spec = spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec
    assert spec.loader
    found = module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


READER, MAKER = module("reader"), module("make_vectors")
VECTORS: dict[str, Any] = json.loads((FOLDER / "vectors.json").read_text(encoding="utf-8"))


def test_the_vectors_are_what_the_library_makes() -> None:
    assert (FOLDER / "vectors.json").read_text(encoding="utf-8") == MAKER.text(), "run docs/format/make_vectors.py"


@pytest.mark.parametrize("spell", [canonical.dumps, READER.canonical], ids=["library", "reader"])
def test_numbers_and_documents_are_spelled_as_in_rfc_8785(spell: Any) -> None:
    for digits, spelled in VECTORS["numbers"].items():
        assert spell(struct.unpack(">d", bytes.fromhex(digits))[0]).decode() == spelled
    for document in VECTORS["documents"]:
        assert spell(json.loads(document["json"])).decode() == document["canonical"]


@pytest.mark.parametrize("vector", VECTORS["values"], ids=lambda vector: vector["value"])
def test_an_address_follows_from_header_and_leaves(vector: dict[str, Any]) -> None:
    assert READER.canonical(vector["header"]).decode() == vector["canonical"]
    leaves = [(bytes.fromhex(digest), nbytes) for digest, nbytes in vector.get("leaves", ())]
    content = b"".join(map(b64decode, vector.get("buffers", ())))
    if content:
        sizes = [nbytes for _, nbytes in leaves]
        cut = [content[sum(sizes[:i]) : sum(sizes[: i + 1])] for i in range(len(sizes))]
        assert [blake3(leaf).digest() for leaf in cut] == [digest for digest, _ in leaves]
    top = b"".join(digest + struct.pack("<Q", nbytes) for digest, nbytes in leaves)
    hashed = vector["canonical"].encode() + (b"" if vector["header"]["kind"] == "bytes" else top)
    assert vector["address"] == "sha256:" + hashlib.sha256(hashed).hexdigest()


def test_a_record_checks_itself() -> None:
    record = VECTORS["record"]["metadata.json"].encode()
    assert record.endswith(b'"}\n')
    body = record[: record.rindex(b',"check":"')] + b"}"
    assert json.loads(record)["check"] == blake3(body).hexdigest()


def test_a_table_of_several_levels_is_made_by_the_letter() -> None:
    table = VECTORS["table"]
    levels = [[(blake3(struct.pack("<Q", i)).digest(), 16384 + i % 7) for i in range(5000)]]
    while len(levels[-1]) > 64:
        nodes = [levels[-1][i : i + 64] for i in range(0, len(levels[-1]), 64)]
        packed = [b"".join(struct.pack("<32sQ", *entry) for entry in node) for node in nodes]
        levels.append(
            [(blake3(some).digest(), sum(n for _, n in node)) for some, node in zip(packed, nodes, strict=True)]
        )
    assert [len(level) for level in levels] == table["entries of each level"]
    files = [b"".join(struct.pack("<32sQ", *entry) for entry in level) for level in levels]
    assert files[-1].hex() == table["top"]
    assert blake3(b"".join(reversed(files[:-1]))).hexdigest() == table["BLAKE3 of leaves.bin"]


def fmix32(x: int) -> int:
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) % 2**32
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) % 2**32
    return x ^ (x >> 16)


def ends_of_short_rows(data: bytes, row: int) -> set[int]:
    """The rule for rows of up to 3 bytes as chunking states it, in plain integers."""
    lowest = 2**64 - 2**64 * row // (48 * KIB)
    ends = range(-(-8 // row) * row, len(data) + 1, row)
    return {e for e in ends if 0x9E3779B97F4A7C15 * int.from_bytes(data[e - 8 : e], "little") % 2**64 >= lowest}


def ends_of_long_rows(data: bytes, row: int) -> set[int]:
    """The rule for longer rows."""
    sizes = [4] * (row // 4) + [1] * (row % 4)
    weights = [1] if len(sizes) == 1 else [fmix32(j + 1) | 1 for j in range(len(sizes))]
    window = max([1, *(w for w in (2, 4, 8, 16, 32) if w * row <= 32)])
    sums = []
    for start in range(0, len(data), row):
        words = struct.unpack_from(f"<{row // 4}I{row % 4}B", data, start)
        sums.append(sum(w * x for w, x in zip(weights, words, strict=True)))
    ends = set()
    for i in range(len(sums)):
        h = 0x9E3779B1 * sum(2**k * sums[i - k] for k in range(window) if i >= k) % 2**32
        if h >= 2**32 - 2**32 * row // (48 * KIB):
            ends.add((i + 1) * row)
    return ends


def cuts_by_the_letter(data: bytes, row: int) -> list[int]:
    if row >= 16 * KIB:
        return [row] * (len(data) // row)
    ends = sorted((ends_of_short_rows if row <= 3 else ends_of_long_rows)(data, row))
    sizes, start, longest = [], 0, 256 * KIB // row * row
    while start < len(data):
        stop = min([start + longest, len(data), *(end for end in ends if end >= start + 16 * KIB)])
        sizes.append(stop - start)
        start = stop
    return sizes


@pytest.mark.parametrize("row", MAKER.ROWS)
def test_leaves_are_cut_by_the_letter(row: int) -> None:
    content = MAKER.known(MAKER.CUT_NBYTES // row * row)
    assert cuts_by_the_letter(content, row) == VECTORS["cuts"]["rows"][str(row)]
