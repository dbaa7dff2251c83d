"""Laws of arrays in containers: what is said to lie in a real file is what the library that reads it finds there."""

from __future__ import annotations

import bz2
import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import open_store
from smalti.codecs import CODECS, RawFile
from smalti.codecs.containers import arrays_in
from smalti.codecs.dtype import array_from, dtype_of
from smalti.store.values import ArrayInside, Encoded

RNG = np.random.default_rng(13)
STACK = RNG.integers(0, 1000, (40, 32, 32)).astype("<f4")  # 160 KiB
RECORDS = np.zeros(4000, [("x", "<f8"), ("hits", "<u2", (3,)), ("at", "<M8[ns]")])  # 88 KB
RECORDS["x"], RECORDS["hits"] = RNG.random(4000), RNG.integers(0, 9, (4000, 3))
KEPT = {
    "stack": STACK,
    "probe": RNG.random((128, 128)) * (1 + 1j),
    "half": RNG.random((256, 256)).astype("<f2"),
    "counts": RNG.integers(0, 255, (300, 300), np.uint8),
    "mask": RNG.random((300, 300)) < 0.5,
    "records": RECORDS,
    "text": np.array(["a", "longer"] * 5000),
    "bytes": np.array([b"a", b"longer"] * 9000),
    "times": np.arange("2000-01", "2001-01", dtype="<M8[m]"),
}
LEFT_OUT = {
    "small": np.arange(100.0),
    "scalar": np.float64(3.5),
    "empty": np.zeros((0, 1 << 20)),
    "fortran": np.asfortranarray(STACK[0].repeat(20, 0).repeat(20, 1)),
    "big_endian": STACK.astype(">f4"),
    "padded": np.zeros(9000, np.dtype([("a", "u1"), ("b", "<f8")], align=True)),
    "truths_in_records": np.zeros(9000, [("a", "?"), ("b", "<f8")]),
    "nested": np.zeros(9000, [("a", [("b", "<f8")])]),
    "objects": np.array([{"a": 1}] * 20000, object),
    "long": np.zeros(9000, np.longdouble),
}


def saved(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def at(data: bytes, array: ArrayInside) -> np.ndarray[Any, Any]:
    """Return the array that is said to lie in the bytes."""
    content = b"".join(data[offset : offset + nbytes] for offset, nbytes in array.runs)
    dtype = np.dtype("<u2") if array.dtype == "bfloat16" else dtype_of(array.dtype)
    assert len(content) == math.prod(array.shape) * dtype.itemsize
    return array_from(memoryview(content), dtype, array.shape)


def said_of(encoded: Encoded) -> list[ArrayInside]:
    """Return where its parts lie, as hints say it."""
    return [ArrayInside(p.encoded.header["dtype"], tuple(p.encoded.header["shape"]), p.runs) for p in encoded.parts]


def same(found: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> bool:
    return found.dtype == wanted.dtype and found.shape == wanted.shape and found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("name", KEPT)
def test_the_array_of_an_npy_file_is_the_one_that_numpy_loads(name: str) -> None:
    data = saved(KEPT[name])
    (found,) = arrays_in(memoryview(data))
    assert same(at(data, found), np.load(io.BytesIO(data)))
    encoded = CODECS.encode(KEPT[name])
    assert isinstance(encoded, Encoded)
    assert (found.dtype, list(found.shape)) == (encoded.header["dtype"], encoded.header["shape"])
    assert bytes(encoded.buffers[0].data) == b"".join(data[o : o + n] for o, n in found.runs)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", LEFT_OUT)
def test_an_array_that_is_stored_otherwise_is_left_out(name: str) -> None:
    assert arrays_in(memoryview(saved(LEFT_OUT[name]))) == ()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_npy_is_known(version: tuple[int, int]) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, STACK, version)
    (found,) = arrays_in(memoryview(buffer.getvalue()))
    assert same(at(buffer.getvalue(), found), STACK)


def test_a_dtype_has_the_spelling_of_our_own_headers() -> None:
    data = saved(KEPT["counts"]).replace(b"'|u1'", b"'<u1'")  # as writers in C++ spell it
    (found,) = arrays_in(memoryview(data))
    assert found.dtype == "|u1"


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
def test_names_of_fields_are_those_that_numpy_reads_or_nothing_is_said() -> None:
    for name in ("plain", "a b", "a(b)[c]", "é", "ψ", "it's", 'a"b', "back\\slash", "'), ('", "line\n"):
        data = saved(np.zeros(9000, [(name, "<f8"), ("b", "<i2")]))
        for found in arrays_in(memoryview(data)):
            assert dtype_of(found.dtype) == np.load(io.BytesIO(data)).dtype
    assert arrays_in(memoryview(saved(np.zeros(9000, [("ψ", "<f8"), ("a b", "<i2")]))))


def test_a_name_that_is_no_text_is_no_name() -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.zeros(9000, [("ab", "<f8")]), (3, 0))
    data = buffer.getvalue()
    assert arrays_in(memoryview(data))
    assert arrays_in(memoryview(data.replace(b"'ab'", b"'\xff\xfe'"))) == ()


def test_a_true_that_is_not_1_is_no_boolean_of_ours() -> None:
    data = bytearray(saved(KEPT["mask"]))
    data[-1] = 2
    assert arrays_in(memoryview(data)) == ()


def test_the_arrays_of_an_npz_archive_are_those_that_numpy_loads() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **KEPT, **LEFT_OUT)
    data, loaded = buffer.getvalue(), np.load(io.BytesIO(buffer.getvalue()))
    found = arrays_in(memoryview(data))
    assert len(found) == len(KEPT)
    for name, array in zip(KEPT, found, strict=True):
        assert same(at(data, array), loaded[name])


def test_of_an_archive_only_what_is_stored_is_said() -> None:
    compressed, mixed = io.BytesIO(), io.BytesIO()
    np.savez_compressed(compressed, **KEPT)
    with zipfile.ZipFile(mixed, "w") as archive:
        archive.writestr("notes.txt", b"not an array" * 10_000)
        archive.writestr("wrong.npy", b"nor is this" * 10_000)
        archive.writestr("packed.npy", saved(STACK), zipfile.ZIP_DEFLATED)
        archive.writestr("named.txt", saved(STACK + 1))
        archive.writestr("sub/stack.npy", saved(STACK))
        archive.writestr("cut.npy", saved(STACK)[:-1])
        archive.comment = b"a comment at the end" * 100
    assert arrays_in(memoryview(compressed.getvalue())) == ()
    (found,) = arrays_in(memoryview(mixed.getvalue()))
    assert same(at(mixed.getvalue(), found), STACK)


def test_an_archive_that_was_streamed_is_read_too() -> None:
    class Stream(io.RawIOBase):
        """Cannot seek, so that sizes come behind the members."""

        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Any, /) -> int:
            self.data += bytes(data)
            return len(data)

    stream = Stream()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("stack.npy", saved(STACK))
    (found,) = arrays_in(memoryview(stream.data))
    assert same(at(stream.data, found), STACK)


def safetensors(**tensors: Any) -> bytes:
    """The bytes of a safetensors file, by the words of its format."""
    codes = {"<f4": "F32", "<f8": "F64", "|u1": "U8", "|b1": "BOOL", "<c8": "C64"}
    table, content = {}, b""
    for name, array in tensors.items():
        said = {"dtype": codes[array.dtype.str], "shape": list(array.shape)}
        table[name] = {**said, "data_offsets": [len(content), len(content) + array.nbytes]}
        content += array.tobytes()
    text = json.dumps({**table, "__metadata__": {"format": "pt"}}, separators=(",", ":")).encode()
    return len(text).to_bytes(8, "little") + text + content


def test_tensors_are_those_that_were_written() -> None:
    data = safetensors(stack=STACK, small=np.arange(9.0), mask=KEPT["mask"], counts=KEPT["counts"])
    stack, mask, counts = arrays_in(memoryview(data))
    assert same(at(data, stack), STACK)
    assert same(at(data, mask), KEPT["mask"])
    assert same(at(data, counts), KEPT["counts"])


def test_the_library_of_safetensors_reads_the_same(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy", reason="the library of safetensors is not installed")
    library.save_file({"stack": STACK, "half": KEPT["half"]}, tmp_path / "x.safetensors")
    data = (tmp_path / "x.safetensors").read_bytes()
    loaded = library.load_file(tmp_path / "x.safetensors")
    found = [at(data, array) for array in arrays_in(memoryview(data))]
    assert len(found) == 2
    assert all(any(same(array, wanted) for wanted in loaded.values()) for array in found)


def test_mlx_reads_the_same_bfloat16_too(tmp_path: Path) -> None:
    mx = pytest.importorskip("mlx.core", reason="mlx is not installed")
    path = str(tmp_path / "x.safetensors")
    mx.save_safetensors(path, {"wide": mx.array(STACK), "brief": mx.array(STACK).astype(mx.bfloat16)})
    data, loaded = Path(path).read_bytes(), mx.load(path)
    found = {array.dtype: at(data, array) for array in arrays_in(memoryview(data))}
    assert found.keys() == {"<f4", "bfloat16"}
    assert same(found["<f4"], np.asarray(loaded["wide"]))
    assert same(found["bfloat16"], np.asarray(loaded["brief"].view(mx.uint16)))


def test_the_patterns_of_a_measured_scan_lie_in_its_archive(star_path: Path) -> None:
    with np.load(io.BytesIO(bz2.decompress(star_path.read_bytes()))) as measured:
        arrays = {name: measured[name] for name in measured.files}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    data = buffer.getvalue()
    encoded = CODECS.encode(data)
    assert isinstance(encoded, Encoded)
    found = [at(data, array) for array in said_of(encoded)]
    large = [a for a in arrays.values() if a.nbytes >= 1 << 16 and a.flags.c_contiguous]
    assert large
    assert sum(a.nbytes for a in found) > 0.9 * len(data)
    assert all(any(same(array, wanted) for array in found) for wanted in large)


def test_bytes_that_are_stored_say_where_arrays_lie_and_small_ones_do_not() -> None:
    large = saved(np.arange(1 << 18, dtype="<f4"))
    encoded, small, opaque = (CODECS.encode(data) for data in (large, saved(STACK), bytes(1 << 20)))
    assert isinstance(encoded, Encoded)
    assert isinstance(small, Encoded)
    assert isinstance(opaque, Encoded)
    assert same(at(large, said_of(encoded)[0]), np.arange(1 << 18, dtype="<f4"))
    assert small.parts == opaque.parts == ()


def test_what_is_said_of_an_original_is_handed_on_if_it_can_be_so_and_is_no_part_of_it() -> None:
    stack = np.arange(1 << 18, dtype="<f4")
    data = b"x" * 100 + stack.tobytes()
    said = ArrayInside("<f4", stack.shape, ((100, stack.nbytes),))
    wrong = ArrayInside("<f4", stack.shape, ((101, stack.nbytes),))
    tree = CODECS.encode(RawFile("a.h5", data, arrays=(said, wrong)))
    assert said_of(tree.children["content"]) == [said]
    store = open_store("memory:")
    ref = store.put(RawFile("a.h5", data, arrays=(said, wrong)))
    assert store.put(RawFile("a.h5", data)).digest == ref.digest
    assert store.get(ref).content == data
    assert store.get(ref).arrays == ()
