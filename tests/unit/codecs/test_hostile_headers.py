"""Headers that passed as records but lie are Damaged or Refused when they are read, and never end the interpreter."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from smalti import Store
from smalti.codecs import CODECS
from smalti.digest import leaf_id
from smalti.errors import Damaged, Refused
from smalti.store.backends.memory import MemoryBackend
from smalti.store.format.record import METADATA
from smalti.store.format.sealed import seal, unseal

ROW = {"kind": "table", "columns": [{"name": "x", "type": "large_string"}], "rows": 2, "batches": [2]}
TABLE: dict[str, Any] = {**ROW, "dictionaries": []}
FRAME = {"dtypes": [{"string": "python", "missing": "nan"}], "index": {"range": [0, 2, 1], "names": [None]}}
LABELS = {"levels": [{"dtype": "|O", "labels": ["x"]}], "names": [None], "multi": False, "freq": None}
OFFSETS = np.array([0, 2**40, 2], "<i8").tobytes()


def of_type(described: Any, **more: Any) -> dict[str, Any]:
    return {**TABLE, "columns": [{"name": "x", "type": described}], **more}


def of_frame(**more: Any) -> dict[str, Any]:
    return {**TABLE, "pandas": {**FRAME, "columns": LABELS, "attrs": {}, **more}}


def array(dtype: Any, shape: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "array", "dtype": dtype, "shape": shape, **more}


CATEGORY = {"dictionary": "large_string", "index": "int8", "ordered": False}
TWO = ["00" * 16]  # of 8 bytes each
TEXTS = ["", np.array([0, 1, 2], "<i8").tobytes().hex(), b"ab".hex()]
CASES: list[tuple[dict[str, Any], list[str]]] = [
    *((array(dtype, [2]), TWO) for dtype in ("|O", "O", "|V0", "|S0", "<U0", "<f16", "f8", ">f8", "", 5, None, [])),
    *((array(dtype, [2]), TWO) for dtype in ([["x", "|O"]], [["x", "<f8"]] * 2, [["", "<f8"]], [[1]])),
    *((array(dtype, [2]), TWO) for dtype in ("(2,)<f4", "<f4,<f4", "|S2147483648", "|V99999999999", "<M8[q]")),
    *((array("<f8", shape), TWO) for shape in ([-2], [-1, -2], [2**61 + 2], [3], [1], [2.0], [True, 2], "2", None)),
    *((array("<f8", shape), TWO) for shape in ([1] * 10_000 + [2], [2**32, 2**32], {"0": 2}, [[2]], [2**63] * 64)),
    *((array("<f8", shape), [""]) for shape in ([0, 2**62], [2**53 - 1, 0, 2**53 - 1], [0] * 65)),
    (array("|b1", [2]), ["0201"]),
    (array([["a", "|b1"]], [2]), ["02ff"]),
    (array("<f8", [2], scalar=True), TWO),
    (array("<f8", [2], scalar=1), TWO),
    (array("<f8", [2], x=1), TWO),
    (array("<f8", [2]), ["00" * 8, "00" * 8]),
    (array("<f8", [2]), []),
    ({"kind": "array"}, ["00"]),
    ({"kind": "nothing"}, ["00"]),
    ({"kind": "json", "value": {"a": 1}}, []),
    ({"kind": "json"}, []),
    ({"kind": "bytes", "nbytes": 1}, ["00"]),
    ({"kind": "bytes", "nbytes": 5, "sha256": "0" * 64}, ["00"]),
    *(
        ({"kind": "weights", "tensors": tensors}, ["00" * 8])
        for tensors in (
            {"a": {"dtype": "|O", "shape": [1]}}, {"a": {"dtype": "<f8", "shape": [2]}}, {"a": {"dtype": "<f8"}}, [],
            {"a": {"dtype": "<f8", "shape": [1]}, "b": {"dtype": "<f8", "shape": [0]}}, {}, {"a": 1}, None, {"a": {}},
            {"__metadata__": {"dtype": "<f8", "shape": [1]}}, {"a": {"dtype": "|S8", "shape": [1]}},
            {"a": {"dtype": "<f8", "shape": [1], "scalar": True}}, {"a": {"dtype": "|b1", "shape": [8, 2**40]}},
        )
    ),
    (TABLE, ["", OFFSETS.hex(), b"ab".hex()]),
    (TABLE, ["", np.array([0, -5, 2], "<i8").tobytes().hex(), b"ab".hex()]),
    (TABLE, ["", np.array([0, 1], "<i8").tobytes().hex(), b"ab".hex()]),
    (TABLE, ["", np.array([0, 1, 2], "<i8").tobytes().hex(), "ffff"]),
    (TABLE, TEXTS[:2]),
    ({**TABLE, "rows": 2**60, "batches": [2**60]}, TEXTS),
    ({**TABLE, "batches": [1, 1]}, TEXTS),
    ({**TABLE, "batches": []}, TEXTS),
    ({**TABLE, "batches": [3, -1]}, TEXTS),
    ({**TABLE, "dictionaries": [5]}, TEXTS),
    ({**TABLE, "columns": [{"name": "x"}]}, TEXTS),
    ({**TABLE, "columns": [{"name": "é", "type": "null"}], "rows": 2**50, "batches": [2**50]}, []),
    (of_type("nothing"), TEXTS),
    (of_type({"fixed_size_binary": -1}), TEXTS),
    (of_type({"fixed_size_list": {"name": "i", "type": "null"}, "size": -1}), ["", OFFSETS.hex()]),
    (of_type({"fixed_size_list": {"name": "i", "type": "int8"}, "size": 2**31 - 1}), ["", "", "00"]),
    (of_type({"list": {"name": "i", "type": "int8"}}), ["", np.array([0, 1, 2**30], "<i4").tobytes().hex(), "", "00"]),
    (of_type(CATEGORY, dictionaries=[2]), [*TEXTS, "", "0005"]),
    (of_type(CATEGORY, dictionaries=[2]), [*TEXTS, "", "00ff"]),
    (of_type("int64"), ["", "00"]),
    (of_type("bool"), ["", ""]),
    (of_type({"timestamp": "ns", "tz": "Nowhere"}), ["", "00" * 16]),
    *((of_frame(dtypes=[dtype]), TEXTS) for dtype in ("|S2147483647", "|O", "<f8", {"extension": "Int64"}, {}, 1)),
    *((of_frame(dtypes=[dtype]), TEXTS) for dtype in ({"extension": "interval[x]"}, {"extension": "nothing"}, "arrow")),
    *((of_frame(index=index), TEXTS) for index in ({}, {"range": [0, 5, 1], "names": [None]}, LABELS, None)),
    (of_frame(index={"range": [0, 2**62, 1], "names": [None]}), TEXTS),
    (of_frame(columns={**LABELS, "levels": [{"dtype": "|S2147483647", "labels": ["x"]}]}), TEXTS),
    (of_frame(attrs=5), TEXTS),
]  # fmt: skip

PROGRAM = """
import json, sys
from smalti.codecs import CODECS
from smalti.errors import Damaged, Refused
for header, buffers in json.load(sys.stdin):
    try:
        value = CODECS.decode(header, [memoryview(bytes.fromhex(buffer)) for buffer in buffers])
        text = repr(value)
        print("decoded", flush=True)
    except (Damaged, Refused) as error:
        print(type(error).__name__, flush=True)
"""


def test_no_header_ends_the_interpreter_or_raises_anything_else() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(CASES), capture_output=True, text=True, check=False
    )
    told = done.stdout.split()
    assert done.returncode == 0, f"after case {len(told)}, {CASES[len(told)]}: {done.stderr[-1500:]}"
    decoded = [header for (header, _), word in zip(CASES, told, strict=True) if word == "decoded"]
    assert decoded == [of_type({"timestamp": "ns", "tz": "Nowhere"}), of_frame(dtypes=["arrow"])], "no lies, only odd"


def forged(content: bytes, **changes: Any) -> tuple[Store, str]:
    """A store whose record of some bytes holds others, with leaves that fit them: the address is that of the header."""
    backend = MemoryBackend()
    store = Store(backend, CODECS)
    address = store.put(b"what was put").digest
    document = unseal(backend.files[address][METADATA], "it")
    document |= {"content": base64.b64encode(content).decode(), "leaves": [[leaf_id(content).hex(), len(content)]]}
    backend.files[address][METADATA] = seal(document | changes)
    return store, address


def test_bytes_with_forged_leaves_are_found_by_their_sha256() -> None:
    store, address = forged(b"what was not")
    with pytest.raises(Damaged, match="SHA-256"):
        store.get(address)
    with pytest.raises(Damaged, match="SHA-256"):
        store.open(address)
    with pytest.raises(Damaged, match="not what was stored"):
        store._objects.verify(address)


def test_large_bytes_with_forged_leaves_are_found_by_their_sha256() -> None:
    backend = MemoryBackend()
    store = Store(backend, CODECS)
    first, second = (store.put(np.random.default_rng(i).bytes(100_000)).digest for i in (0, 1))
    stolen, own = (unseal(backend.files[address][METADATA], "it") for address in (second, first))
    backend.files[first] = {**backend.files[second], METADATA: seal({**stolen, "header": own["header"]})}
    for read in (store.get, store.open):
        with pytest.raises((Damaged, Refused), match="SHA-256"):
            read(first)
