"""Make vectors.json: what the format makes of known values, for those who write a reader in another language.

    python docs/format/make_vectors.py

Content that is called ``known`` is the BLAKE3 digest of the text "smalti", extended to the length that is asked for.
"""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from blake3 import blake3

from smalti import Weights
from smalti.codecs import CODECS, BFloat16
from smalti.store.format import leaf_table
from smalti.store.format.chunking import leaf_sizes
from smalti.store.format.record import canonical_header, dump, header_record
from smalti.store.objects.hashing import record_of
from smalti.store.values import Encoded, Ref

PLACE = Path(__file__).with_name("vectors.json")
CUT_NBYTES = 1_000_000
ROWS = (1, 2, 3, 4, 8, 12, 1000, 1003, 20_000)
TABLE_LEAVES = 5000

# RFC 8785, appendix B: an IEEE 754 double in hexadecimal digits, and how it is spelled.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}
# RFC 8785, sections 3.2.2 and 3.2.3: a document, and its canonical form.
DOCUMENTS = {
    r"""{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}""": (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    ),
    r"""{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
    "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}""": (
        '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis",'
        '"€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}'
    ),
}


def known(nbytes: int) -> bytes:
    """Return the content that vectors are of."""
    return blake3(b"smalti").digest(length=nbytes)


def vectors() -> dict[str, Any]:
    """Return all vectors."""
    return {
        "about": "Test vectors of format 2; docs/design.md says what they are of, docs/format/make_vectors.py makes "
        "them. 'known' content is BLAKE3('smalti') extended; ids are BLAKE3-256, bytes are in base64 or hexadecimal.",
        "numbers": NUMBERS,
        "documents": [{"json": text, "canonical": spelled} for text, spelled in DOCUMENTS.items()],
        "values": [{"value": said, **_of(value)} for said, value in _values().items()],
        "record": _record(),
        "cuts": {
            "content": f"the first {CUT_NBYTES} bytes of known content, cut to whole rows; row size -> leaf sizes",
            "rows": {str(row): leaf_sizes(memoryview(known(CUT_NBYTES // row * row)), row).tolist() for row in ROWS},
            "zeros": leaf_sizes(memoryview(bytes(600_000)), 1).tolist(),
        },
        "table": _table(),
    }


def _values() -> dict[str, Any]:
    pair = np.dtype([("x", "<f4"), ("y", "<i2", (2,))])
    child = record_of(_encoded(np.arange(3))).address
    return {
        "int64 array 0, 1, 2": np.arange(3),
        "float32 array (3, 64, 64) of 0, 1, 2, ...": np.arange(12288, dtype=np.float32).reshape(3, 64, 64),
        "bool array (0, 3)": np.zeros((0, 3), bool),
        "structured array of two rows x, y[2]": np.array([(1.5, (1, 2)), (-2, (3, 4))], pair),
        "float64 scalar 8800": np.float64(8800),
        "bfloat16 array 1, -2": BFloat16(np.array([0x3F80, 0xC000], np.uint16)),
        "uint8 array of the first 300000 bytes of known content": np.frombuffer(known(300_000), np.uint8),
        "the bytes 'smalti'": b"smalti",
        "a list": [1, 8800.0, 0.1, -0.0, 2**60, (True, None), {"é": "text", "a/b": 1e21}],
        "a text": "smalti",
        "weights b, a": Weights({"b": np.ones(2, np.float32), "a": np.zeros((1, 2))}),
        "an Arrow table": pa.table({"n": pa.array([1, None], pa.int32()), "t": pa.array(["a", "é"])}),
        "a tree: an array and attributes": {"x": Ref(child, "array", 24), "energy_eV": 8800.0, "shape": (2, 3)},
    }


def _encoded(value: Any) -> Encoded:
    encoded = CODECS.encode(value)
    assert isinstance(encoded, Encoded)
    return encoded


def _of(value: Any) -> dict[str, Any]:
    encoded = CODECS.encode(value)
    if not isinstance(encoded, Encoded):
        children = {name: child.digest for name, child in encoded.children.items()}
        record = header_record({"kind": "tree", "children": children, "attrs": dict(encoded.attrs)}, 24)
        buffers = []
    else:
        record, buffers = record_of(encoded), [bytes(buffer.data) for buffer in encoded.buffers]
    plain, spelled = canonical_header(record.header)
    found: dict[str, Any] = {"header": plain, "canonical": spelled.decode()}
    if buffers and record.nbytes <= 256:
        found["buffers"] = [b64encode(buffer).decode() for buffer in buffers]
    if record.table.count:
        found["leaves"] = [[digest.hex(), nbytes] for digest, nbytes in leaf_table.parsed(record.table.top)]
    return {**found, "address": record.address}


def _record() -> dict[str, Any]:
    record = record_of(_encoded(np.arange(3)))
    return {"value": "int64 array 0, 1, 2", "metadata.json": dump(record)["metadata.json"].decode()}


def _table() -> dict[str, Any]:
    entries = b"".join(
        leaf_table.entry(blake3(struct.pack("<Q", i)).digest(), 16384 + i % 7) for i in range(TABLE_LEAVES)
    )
    levels = leaf_table.build(entries)
    return {
        "leaves": f"{TABLE_LEAVES} of which leaf i has 16384 + i % 7 bytes, and the digest of i as 8 bytes as its id",
        "entries of each level": [len(level) // leaf_table.ENTRY_NBYTES for level in levels],
        "first entry of each level": [level[: leaf_table.ENTRY_NBYTES].hex() for level in levels],
        "top": levels[-1].hex(),
        "BLAKE3 of leaves.bin": blake3(leaf_table.dump(levels)).hexdigest(),
    }


def text() -> str:
    """Return the file."""
    return json.dumps(vectors(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    PLACE.write_text(text(), encoding="utf-8")
