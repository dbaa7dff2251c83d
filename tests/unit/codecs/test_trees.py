"""Laws of typed values: what is stored as a tree comes back as what it was, sharing equal children."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import BFloat16, Checkpoint, Product, RawFile, Reconstruction, Scan, Store, Tree, Weights, open_store
from smalti.codecs import ProductMetadata, ScanMetadata, Stated
from smalti.errors import Refused
from smalti.testing.strategies import WEIGHT_DTYPES

RANDOM = np.random.default_rng(0)

FileOf = Callable[[Store, Any], Path]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def a_scan() -> Scan:
    return Scan(
        diffraction=RANDOM.random((9, 8, 8), np.float32),
        xcoords=np.arange(9.0),
        ycoords=np.arange(9.0) * 2,
        probe_guess=np.ones((1, 8, 8), np.complex64),
        object_guess=None,
        scan_index=np.arange(9),
        metadata=ScanMetadata(
            name="star",
            photon_energy_eV=Stated(value=8800, assumed=True, note="nobody said"),
            exposure_time_s=Stated(value=0.1),
        ),
    )


def a_product() -> Product:
    positions = np.arange(4.0) * 1e-6
    metadata = ProductMetadata(
        name="p",
        photon_energy_eV=8000.0,
        probe_pixel_width_m=1e-8,
        probe_pixel_height_m=1e-8,
        object_pixel_width_m=1e-8,
        object_pixel_height_m=1e-8,
        object_center_x_m=0.0,
        object_center_y_m=0.0,
    )
    probe = np.ones((1, 1, 8, 8), np.complex64)
    empty = np.zeros(0)
    return Product(positions, positions, np.arange(4), probe, probe[0], empty, np.arange(2), np.ones(2), None, metadata)


def a_reconstruction() -> Reconstruction:
    scan = a_scan()
    field = np.ones((20, 20), np.complex64)
    return Reconstruction(
        field, scan.probe_guess, scan.xcoords, scan.ycoords, 1.5, -2.0, np.ones(3), {"r_factor": 0.2}, {"seed": 0}
    )


def a_checkpoint() -> Checkpoint:
    weights = {"layer.weight": RANDOM.random((3, 4), np.float32), "layer.bias": np.zeros(3, np.float32)}
    return Checkpoint(weights, {"step": np.array(7, np.uint64)}, {"model_type": "m"}, {"epoch": 3})


VALUES = [a_scan(), a_product(), a_reconstruction(), a_checkpoint(), RawFile("a.npz", b"zip", {"licence": "CC0"})]


def assert_equal(a: object, b: object) -> None:
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, dict):
        assert isinstance(b, dict)
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    else:
        assert a == b


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_typed_value_comes_back_as_it_was(store: Store, value: object) -> None:
    back = store.get(store.put(value))
    assert type(back) is type(value)
    for name in type(value).__slots__:  # type: ignore[attr-defined]
        assert_equal(getattr(value, name), getattr(back, name))


def test_a_checkpoint_has_the_address_that_it_had_before_there_were_tokenizers(store: Store) -> None:
    weights, state = {"w": np.arange(3, dtype=np.float32)}, {"step": np.array(7, np.uint64)}
    ref = store.put(Checkpoint(weights, state, {"model_type": "m"}, {"epoch": 3}))
    assert ref.digest == "sha256:5b31df613202b5f61a68863af61e7eb54cfd0eca8976157c02e23a22ab7645fa"
    ref = store.put(Checkpoint(weights, {}, {"model_type": "m"}, {"epoch": 3}, "checkpoint/1"))
    assert ref.digest == "sha256:b31abec50c2e7b79846c4aebff4ac27dee8a99fedad26cf97b70b3a6b9b8df9f"


def test_a_tokenizer_is_a_file_of_its_own_that_other_checkpoints_share(store: Store) -> None:
    first = replace(a_checkpoint(), tokenizer='{"model": {"vocab": {"Ä": 0}}}')
    ref = store.put(first)
    assert store.get(ref).tokenizer == first.tokenizer
    child = store.record(ref).children["tokenizer.json"]
    assert store.get(child).decode() == first.tokenizer
    assert store.record(store.put(replace(first, state={"epoch": 4}))).children["tokenizer.json"] == child
    assert store.put(replace(first, tokenizer="")).digest != ref.digest


def test_an_unknown_value_stays_unknown(store: Store) -> None:
    back = store.get(store.put(a_product()))
    assert back.metadata.exposure_time_s is None
    assert back.opr_weights is None


def test_what_is_assumed_is_said_in_words() -> None:
    assert a_scan().metadata.assumptions() == ("photon_energy_eV = 8800 is assumed: nobody said",)


def test_a_tree_of_a_type_that_is_not_known_is_refused_on_reading(store: Store) -> None:
    ref = store.put(Tree({}, {"a": 1}, "hologram"))
    with pytest.raises(Refused, match=r"type 'hologram'; this version knows \['checkpoint'"):
        store.get(ref)


def test_weights_are_a_safetensors_file_with_aligned_tensors(store: Store, file_of: FileOf) -> None:
    tensors = {"b": np.arange(3, dtype=np.float16), "a": RANDOM.random((5, 7)), "c": np.asfortranarray(np.eye(3))}
    content = file_of(store, Weights(tensors)).read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    assert header.pop("__metadata__") == {"format": "mlx"}
    for name, tensor in tensors.items():
        start, stop = header[name]["data_offsets"]
        assert start % tensor.dtype.itemsize == 0
        found = np.frombuffer(content[8 + size + start : 8 + size + stop], tensor.dtype)
        np.testing.assert_array_equal(found.reshape(header[name]["shape"]), tensor)
    assert (8 + size) % 4096 == 0
    assert len(content) == 8 + size + sum(tensor.nbytes for tensor in tensors.values())


def test_mlx_opens_the_weights_file_as_it_is(store: Store, file_of: FileOf) -> None:
    path = file_of(store, Weights({"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}))
    program = "import sys, mlx.core as mx; print(mx.load(sys.argv[1])['layer.weight'].tolist())"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]"


def test_a_module_and_its_optimizer_in_bfloat16_come_back_to_the_bit_and_mlx_opens_their_files(store: Store) -> None:
    program = """
import sys, numpy as np, mlx.core as mx, mlx.nn as nn, mlx.optimizers as optim
from pathlib import Path
from mlx.utils import tree_flatten
from smalti import BFloat16, Checkpoint, Weights, open_store
store = open_store(sys.argv[1])
module = nn.Linear(3, 2)
module.set_dtype(mx.bfloat16)
optimizer = optim.Adam(1e-2)
optimizer.update(module, {"weight": mx.ones((2, 3), mx.bfloat16), "bias": mx.ones(2, mx.bfloat16)})
model, state = (dict(tree_flatten(tree)) for tree in (module.parameters(), optimizer.state))
assert mx.bfloat16 in {array.dtype for array in state.values()}
back = store.get(store.put(Checkpoint(model, state, {}, {})))
for tensors, found in ((model, back.model), (state, back.optimizer)):
    store.write_file(store.put(Weights(tensors)), path := Path(sys.argv[1], f"{len(tensors)}.safetensors"))
    opened = mx.load(str(path))
    assert opened.keys() == tensors.keys() == found.keys()
    for name, tensor in tensors.items():
        assert opened[name].dtype == tensor.dtype and mx.array_equal(opened[name], tensor)
        bits = getattr(found[name], "bits", None)
        assert (bits is not None) == (tensor.dtype == mx.bfloat16)
        assert mx.array_equal(mx.array(found[name]) if bits is None else mx.array(bits).view(mx.bfloat16), tensor)
assert store.put(Weights(model)).digest == store.put(Weights(dict(back.model))).digest
print("same")
"""
    done = subprocess.run([sys.executable, "-c", program, store.place], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "same", done.stderr


def test_weights_of_every_dtype_and_odd_shapes_come_back_and_dtype_and_name_count(store: Store) -> None:
    arrays = [np.zeros(shape, dtype) for shape in ((), (0, 3), (3, 0), (2, 3)) for dtype in WEIGHT_DTYPES]
    weights = Weights({str(n): array for n, array in enumerate(arrays)} | {"": BFloat16(np.ones((2, 2), np.uint16))})
    back = store.get(store.put(weights)).tensors
    assert {name: (tensor.dtype, tensor.shape) for name, tensor in back.items() if name} == {
        str(n): (array.dtype, array.shape) for n, array in enumerate(arrays)
    }
    np.testing.assert_array_equal(back[""].bits, np.ones((2, 2)))
    bits = np.zeros(2, np.uint16)
    different = [{"a": bits}, {"b": bits}, {"a": BFloat16(bits)}, {"a": bits.view("f2")}, {"a": bits[:, None]}, {}]
    assert len({store.put(Weights(tensors)).digest for tensors in different}) == len(different)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"z": np.zeros(2, complex)}, "tensor 'z' has dtype complex128, and safetensors holds .*bfloat16"),
        ({"z": np.zeros(2, "M8[s]")}, "tensor 'z' has dtype datetime64"),
        ({"z": [1.0, 2.0]}, "tensor 'z' is a list; give an array"),
        ({"__metadata__": np.zeros(2)}, "cannot be called '__metadata__'"),
        ({1: np.zeros(2)}, "cannot be called 1"),
    ],
)
def test_weights_that_safetensors_cannot_hold_are_refused(store: Store, tensors: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        store.put(Weights(tensors))


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (Tree({"x": np.zeros(2)}, {"x": 1}), "a child and an attribute called 'x'"),
        (Tree({}, [1]), "the children and the attributes of a tree are two mappings"),  # type: ignore[arg-type]
        (Tree([np.zeros(2)]), "the children and the attributes of a tree are two mappings"),  # type: ignore[arg-type]
    ],
)
def test_a_tree_that_would_lose_something_is_refused(store: Store, tree: Tree, message: str) -> None:
    with pytest.raises(Refused, match=message):
        store.put({"inside": tree})


def test_a_tree_that_is_not_what_its_type_says_is_refused_on_reading_and_opens_as_a_tree(store: Store) -> None:
    for tree in (Tree({}, {}, "scan"), Tree({"x": b""}, {"name": 3}, "product")):
        ref = store.put(tree)
        with pytest.raises(
            Refused, match=f"this tree says it is a {tree.type} but is not made of what one is; open it"
        ):
            store.get(ref)
        assert store.open(ref).attrs == tree.attrs


@pytest.mark.parametrize(
    ("home", "name", "hint"),
    [
        ("polars.dataframe.frame", "DataFrame", r"frame\.to_arrow\(\)"),
        ("xarray.core.dataset", "Dataset", "a mapping of its arrays"),
        ("torch", "Tensor", r"tensor\.numpy"),
        ("scipy.sparse._csr", "csr_matrix", "data, indices, indptr"),
        ("h5py._hl.dataset", "Dataset", "store.put_rows"),
        ("pyarrow.lib", "RecordBatch", r"Table\.from_batches"),
        ("unknown", "Thing", "an array, a table, bytes, JSON"),
    ],
)
def test_an_object_of_another_library_is_refused_with_what_to_store_instead(
    store: Store, home: str, name: str, hint: str
) -> None:
    value = type(name, (), {"__module__": home})()
    with pytest.raises(Refused, match=f"a {name} has no codec; .*{hint}"):
        store.put(value)


def test_plain_python_is_refused_with_what_to_store_instead(store: Store) -> None:
    values = {"read_bytes": Path("x"), "list": {1, 2}, "complex128": 1j, "put_rows": (n for n in range(2))}
    for hint, value in values.items():
        with pytest.raises(Refused, match=hint):
            store.put({"x": value})


@pytest.mark.parametrize(
    "view",
    [
        memoryview(b"abcdef")[::2],
        memoryview(b"abcdef")[::-1],
        memoryview(np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3))),  # type: ignore[arg-type]
        memoryview(np.zeros((0, 3))),  # type: ignore[arg-type]
        memoryview(np.array(3, np.uint8)),  # type: ignore[arg-type]
        memoryview(bytearray(b"abc")),
    ],
    ids=["strided", "reversed", "F order", "empty", "0-d", "writable"],
)
def test_a_view_of_any_shape_is_stored_as_its_bytes_in_c_order(store: Store, view: memoryview) -> None:
    assert store.get(store.put(view)) == view.tobytes()
    assert store.put(view).digest == store.put(view.tobytes()).digest


def test_two_scans_with_equal_patterns_store_them_once(store: Store) -> None:
    scan = a_scan()
    store.put(scan)
    other = Scan(scan.diffraction, scan.ycoords, scan.xcoords, None, None, scan.scan_index, ScanMetadata(name="other"))
    assert store.put(other).new_bytes < 1000
