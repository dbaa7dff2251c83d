"""Laws of arrays beyond plain dtypes: structures, bfloat16, arrays of MLX, and lazy arrays where numpy's are wanted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from smalti import BFloat16, LazyArray, Store, Weights, open_store
from smalti.codecs.dtype import canonical_dtype
from smalti.errors import Refused

DATA = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes(endianness="?")
    | hnp.unsigned_integer_dtypes(endianness="?")
    | hnp.floating_dtypes(endianness="?")
    | hnp.complex_number_dtypes(endianness="?", sizes=(64, 128))
    | hnp.datetime64_dtypes(endianness="?")
    | hnp.timedelta64_dtypes(endianness="?")
    | hnp.byte_string_dtypes(min_len=1, max_len=5)
    | hnp.unicode_string_dtypes(endianness="?", min_len=1, max_len=5)
    | st.sampled_from([np.dtype("V3"), np.dtype("<M8[25s]"), np.dtype("M8")])
)


def has_titles(dtype: np.dtype) -> bool:
    if dtype.subdtype is not None:
        return has_titles(dtype.subdtype[0])
    return any(len(dtype.fields[name]) > 2 or has_titles(dtype[name]) for name in dtype.names or ())


STRUCTURES = hnp.nested_dtypes(subtype_strategy=DATA, max_itemsize=100).filter(
    lambda dtype: dtype.names and not has_titles(dtype)
)

FileOf = Callable[[Store, Any], Path]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(tmp_path_factory.mktemp("store"))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), dtype=DATA | STRUCTURES)
def test_an_array_of_every_dtype_that_is_data_comes_back(
    store: Store, file_of: FileOf, data: st.DataObject, dtype: np.dtype
) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    nbytes = dtype.itemsize * int(np.prod(shape))
    array = np.ndarray(shape, dtype, data.draw(st.binary(min_size=nbytes, max_size=nbytes)))
    if "?" in str(dtype) or "bool" in str(dtype) or "U" in str(dtype):
        array = np.zeros(shape, dtype)  # any bytes are numbers, but not bools or texts
    expected = np.asarray(array, canonical_dtype(array.dtype), order="C")
    ref = store.put(array)
    path = file_of(store, array)
    for found in (store.get(ref), np.asarray(store.open(ref)), np.load(path, allow_pickle=False)):
        assert (found.dtype, found.shape, found.tobytes()) == (expected.dtype, array.shape, expected.tobytes())


def structure(**options: Any) -> NDArray[Any]:
    """Three rows with a number, a matrix and a text, some options of dtype, and 0xAA wherever there is padding."""
    inner = np.dtype([("m", "<i2", (2, 2)), ("s", "S3")], **options)
    dtype = np.dtype([("a", "u1"), ("é", inner), ("f", "<f8")], **options)
    array = np.frombuffer(b"\xaa" * 3 * dtype.itemsize, dtype).copy()
    array["a"], array["é"]["m"], array["é"]["s"], array["f"] = [1, 2, 3], 7, b"abc", np.arange(3)
    return array


def test_padding_and_byte_order_of_a_structure_do_not_change_the_address(store: Store) -> None:
    packed, aligned = structure(), structure(align=True)
    assert aligned.dtype.itemsize > packed.dtype.itemsize
    swapped = packed.astype(packed.dtype.newbyteorder(">"))
    assert len({store.put(array).digest for array in (packed, aligned, swapped)}) == 1
    back = store.get(store.put(aligned))
    assert back.dtype == packed.dtype
    assert (back == packed).all()


def test_the_header_says_what_the_fields_are(store: Store) -> None:
    record = store.record(store.put(structure()))
    assert record.header["dtype"] == [["a", "|u1"], ["é", [["m", "<i2", [2, 2]], ["s", "|S3"]]], ["f", "<f8"]]


def test_names_and_order_of_fields_count(store: Store) -> None:
    fields = [("a", "<i4"), ("b", "<i4")]
    dtypes = [fields, fields[::-1], [("a", "<i4"), ("c", "<i4")], [("a", "<i4", (1,)), ("b", "<i4")], "V8", "<i8"]
    assert len({store.put(np.zeros(2, dtype)).digest for dtype in dtypes}) == len(dtypes)


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        ({"names": ["a", "b"], "formats": ["<i4", "<i2"], "offsets": [0, 2]}, "its fields overlap"),
        ([(("title", "a"), "<i4")], "have titles"),
        ([], "or are none"),
        ([("a", [("b", object)])], "dtype object cannot be stored exactly"),
        ([("a", np.longdouble)], "cannot be stored exactly"),
        ([(f"a field with a name {i}", "<f4") for i in range(500)], "500 fields has too long a .npy header"),
        (np.dtypes.StringDType(), "cannot be stored exactly"),
        (np.longdouble, "dtype float128 cannot be stored exactly on every machine"),
        (object, "dtype object cannot be stored exactly"),
    ],
)
def test_a_structure_that_would_not_come_back_is_refused(store: Store, dtype: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        store.put(np.zeros(2, dtype))


def test_an_element_longer_than_a_leaf_comes_back(store: Store) -> None:
    array = np.array([b"a" * 300_000, b"b"])
    assert store.get(store.put(array)).tolist() == array.tolist()


@pytest.mark.parametrize("kind", [np.matrix, np.recarray, np.ma.MaskedArray, type("Quantity", (np.ndarray,), {})])
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_what_is_more_than_an_array_is_refused(store: Store, kind: type[np.ndarray]) -> None:
    array = np.zeros((2, 2)).view(kind)
    for value in (array, Weights({"w": array})):
        with pytest.raises(Refused, match=f"a {kind.__name__} would come back as a plain array"):
            store.put(value)


def test_every_true_is_the_same_true(store: Store) -> None:
    some = np.array([0, 1, 2, 255], np.uint8)
    for dtype in ("?", [("a", "?"), ("b", "?", (2,)), ("c", [("d", "?")])]):
        odd = np.repeat(some, np.dtype(dtype).itemsize).view(dtype)
        plain = np.repeat(np.minimum(some, 1), np.dtype(dtype).itemsize).view(dtype)
        assert store.get(store.put(odd)).tobytes() == plain.tobytes()
        assert store.put(odd).digest == store.put(plain).digest
        assert odd.tobytes() != plain.tobytes(), "what was given is left alone"
    assert store.put(Weights({"w": some.view("?")})).digest == store.put(Weights({"w": some != 0})).digest


def test_metadata_of_a_dtype_does_not_count(store: Store) -> None:
    marked = np.dtype("<i4", metadata={"unit": "m"})
    assert store.put(np.zeros(2, marked)).digest == store.put(np.zeros(2, "<i4")).digest
    assert store.put(np.zeros(2, [("a", marked)])).digest == store.put(np.zeros(2, [("a", "<i4")])).digest


@pytest.mark.parametrize("scalar", [np.float64(1.5), np.float32(1.5), np.int64(7), np.bool_(True), np.str_("é")])
def test_scalars_of_numpy_come_back_as_scalars_by_themselves_and_in_a_mapping(store: Store, scalar: Any) -> None:
    deep = store.get(store.put({"x": scalar, "deep": {"er": {"x": scalar}}}))
    for found in (store.get(store.put(scalar)), store.open(store.put(scalar)), deep["x"], deep["deep"]["er"]["x"]):
        assert type(found) is type(scalar)
        assert (found.dtype, found) == (scalar.dtype, scalar)


@pytest.mark.parametrize("scalar", [np.float64(-0.0), np.float32("nan"), np.datetime64("NaT", "ms"), np.complex64(1j)])
def test_an_array_without_axes_is_another_value_than_its_scalar(store: Store, scalar: Any) -> None:
    array = np.asarray(scalar)
    found = store.get(store.put(array))
    assert isinstance(found, np.ndarray)
    assert (found.shape, found.dtype, found.tobytes()) == ((), array.dtype, array.tobytes())
    assert store.get(store.put(scalar)).tobytes() == array.tobytes()
    assert store.put(scalar).digest != store.put(array).digest
    assert store.record(store.put(array)).header == {"kind": "array", "dtype": array.dtype.str, "shape": []}


def test_a_record_of_a_structured_array_comes_back_as_one(store: Store) -> None:
    record = np.array([(1, 2.5)], [("n", "<i4"), ("x", "<f8")])[0]
    found = store.get(store.put({"first": record}))["first"]
    assert type(found) is np.void
    assert (found.dtype, found.item()) == (record.dtype, (1, 2.5))


@pytest.mark.parametrize("scalar", [np.str_("a\0"), np.bytes_(b"\0")])
def test_a_text_that_numpy_would_cut_is_refused(store: Store, scalar: Any) -> None:
    with pytest.raises(Refused, match="ends with zeros, which numpy takes off; store str"):
        store.put(scalar)


def test_a_scalar_among_tensors_stays_one(store: Store) -> None:
    found = store.get(store.put(Weights({"step": np.int64(7), "bias": np.array(7)}))).tensors
    assert type(found["step"]) is np.int64
    assert type(found["bias"]) is np.ndarray


def test_bfloat16_is_exact_as_float32_and_lies_in_the_file_as_uint16(store: Store, file_of: FileOf) -> None:
    bits = np.array([[0x3F80, 0xC000, 0x7F80], [0x0001, 0x8000, 0x7FC1]], np.uint16)
    ref = store.put(BFloat16(bits))
    assert store.record(ref).header == {"kind": "array", "dtype": "bfloat16", "shape": [2, 3]}
    assert ref.digest != store.put(bits).digest
    for found in (store.get(ref), store.open(ref)):
        assert isinstance(found, BFloat16)
        assert store.put(found).new_bytes == 0
        np.testing.assert_array_equal(found.bits, bits)
        assert np.asarray(found).dtype == np.float32
        assert np.asarray(found)[0].tolist() == [1.0, -2.0, np.inf]
    assert np.load(file_of(store, BFloat16(bits))).dtype == np.uint16


def test_bfloat16_is_opened_without_being_read_and_is_made_of_uint16(store: Store) -> None:
    rows = np.arange(60_000, dtype=np.uint16).reshape(3, -1)
    opened = store.open(store.put(BFloat16(rows)))
    assert isinstance(opened.bits, LazyArray)
    np.testing.assert_array_equal(opened.bits[1], rows[1])
    with pytest.raises(Refused, match="the bits of a bfloat16 array are of dtype float32; give its uint16"):
        BFloat16(np.zeros(2, np.float32))  # type: ignore[arg-type]


def test_arrays_of_mlx_are_stored_like_those_of_numpy(tmp_path: Path) -> None:
    program = """
import sys, numpy as np, mlx.core as mx
from smalti import open_store
store = open_store(sys.argv[1])
x = mx.arange(6, dtype=mx.float32).reshape(2, 3)
assert store.put(x).digest == store.put(np.asarray(x)).digest
assert store.put(x.T).digest == store.put(np.asarray(x).T).digest
half = mx.array([1.5, -2.0, 1e30]).astype(mx.bfloat16)
for back in (store.get(store.put({"w": half}))["w"], store.open(store.put(half))):
    assert mx.array_equal(mx.array(np.asarray(back.bits)).view(mx.bfloat16), half)
kinds = (mx.bool_, mx.uint8, mx.int8, mx.uint16, mx.int16, mx.uint32, mx.int32, mx.uint64, mx.int64, mx.float16,
         mx.float32, mx.complex64)
for kind in kinds:
    for shape in ((), (0, 3), (2, 3)):
        array = mx.ones(shape, kind)
        assert store.put(array).digest == store.put(np.ones(shape, np.asarray(array).dtype)).digest
print("same")
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "same", done.stderr


def test_storing_an_array_does_not_import_mlx(tmp_path: Path) -> None:
    program = "import sys, numpy as np; from smalti import open_store; open_store(sys.argv[1]).put(np.zeros(3)); "
    program += "print('mlx' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
