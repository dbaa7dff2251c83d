"""Laws of typed values: what is stored as a tree comes back as what it was, sharing equal children."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from smalti import Checkpoint, Product, RawFile, Reconstruction, Scan, Store, Tree, Weights, open_store
from smalti.codecs import ProductMetadata, ScanMetadata, Stated
from smalti.errors import Refused

RANDOM = np.random.default_rng(0)


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


def test_weights_are_a_safetensors_file_with_aligned_tensors(store: Store) -> None:
    tensors = {"b": np.arange(3, dtype=np.float16), "a": RANDOM.random((5, 7)), "c": np.asfortranarray(np.eye(3))}
    path = store.file(store.put(Weights(tensors)))
    assert path is not None
    content = path.read_bytes()
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


def test_mlx_opens_the_weights_file_as_it_is(store: Store) -> None:
    path = store.file(store.put(Weights({"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3)})))
    program = "import sys, mlx.core as mx; print(mx.load(sys.argv[1])['layer.weight'].tolist())"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]"


def test_weights_that_safetensors_cannot_hold_are_refused(store: Store) -> None:
    with pytest.raises(Refused, match="tensor 'z' has dtype complex128"):
        store.put(Weights({"z": np.zeros(2, complex)}))


def test_two_scans_with_equal_patterns_store_them_once(store: Store) -> None:
    scan = a_scan()
    store.put(scan)
    other = Scan(scan.diffraction, scan.ycoords, scan.xcoords, None, None, scan.scan_index, ScanMetadata(name="other"))
    assert store.put(other).new_bytes < 1000
