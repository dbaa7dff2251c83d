"""Products of other programs: what nobody asks for, and what a product does without, refuses none."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalti.codecs.product import Product
from smalti.products import import_product, validate_product, write_product

UNNEEDED: dict[str, Callable[[h5py.File], Any]] = {
    "a table": lambda f: f.create_dataset("log", data=np.zeros(3, [("t", "f8"), ("i", "i4")])),
    "text": lambda f: f.create_dataset("note", data="words"),
    "an empty dataset": lambda f: f.create_dataset("empty", data=h5py.Empty("f8")),
    "objects": lambda f: f.create_dataset("rows", data=[np.arange(2), np.arange(3)], dtype=h5py.vlen_dtype("i8")),
    "a link into another file": lambda f: f.__setitem__("scan", h5py.ExternalLink("other.h5", "/scan")),
    "a link to nothing": lambda f: f.__setitem__("scan", h5py.SoftLink("/nowhere")),
    "a dataset that claims terabytes": lambda f: f.create_dataset("huge", (1 << 20, 1 << 20), "f8", chunks=(8, 8)),
    "an attribute without a value": lambda f: f.attrs.__setitem__("comment", h5py.Empty("S1")),
    "an attribute of references": lambda f: f.attrs.__setitem__("see", f["probe"].ref),
    "a table as an attribute": lambda f: f["probe"].attrs.__setitem__("log", np.zeros(2, [("t", "f8")])),
    "a group called as an unused array": lambda f: f.create_group("positions"),
}


@pytest.mark.parametrize("add", UNNEEDED.values(), ids=UNNEEDED)
def test_what_nobody_asks_for_refuses_no_product(product: Product, tmp_path: Path, add: Any) -> None:
    path = tmp_path / "p.h5"
    write_product(path, product)
    with h5py.File(path, "r+") as file:
        add(file)
    result = validate_product(path)
    assert (result.accepted, result.violations, result.refusal) == (True, (), "")
    np.testing.assert_array_equal(import_product(path).product.object, product.object)


def test_patterns_that_lack_a_part_are_left_out_and_the_product_is_read(product: Product, tmp_path: Path) -> None:
    path = tmp_path / "p.h5"
    write_product(path, product)
    with h5py.File(path, "r+") as file:
        file["raw_data/diffraction"] = np.ones((9, 12, 12))
    result = validate_product(path)
    assert [v.code for v in result.violations] == ["product.raw_data"]
    assert "raw_data/xcoords, raw_data/ycoords, raw_data/scan_index" in str(result.violations[0])
    assert (result.accepted, result.value.patterns) == (True, None)


UNNEEDED_MEMBERS: dict[str, tuple[str, Any]] = {
    "a pickle": ("log.npy", np.array([{"t": 1}], dtype=object)),
    "a table": ("log.npy", np.zeros(3, [("t", "f8"), ("i", "i4")])),
    "text": ("log.npy", np.array(["words"])),
    "notes": ("notes.txt", None),
    "what macOS adds": ("__MACOSX/._p.npz", None),
}


@pytest.mark.parametrize(("name", "array"), UNNEEDED_MEMBERS.values(), ids=UNNEEDED_MEMBERS)
def test_what_nobody_asks_for_refuses_no_archive(product: Product, tmp_path: Path, name: str, array: Any) -> None:
    path = tmp_path / "p.npz"
    write_product(path, product)
    with zipfile.ZipFile(path, "a") as archive, archive.open(name, "w") as member:
        if array is None:
            member.write(b"words")
        else:
            np.lib.format.write_array(member, array)
    result = validate_product(path)
    assert (result.accepted, result.violations, result.refusal) == (True, (), "")
    np.testing.assert_array_equal(result.value.object, product.object)


def test_a_complex_probe_as_matlab_writes_it_is_a_complex_probe(product: Product, tmp_path: Path) -> None:
    path = tmp_path / "p.h5"
    write_product(path, product)
    parts = np.zeros(product.probe.shape, [("real", "f4"), ("imag", "f4")])
    parts["real"], parts["imag"] = product.probe.real, product.probe.imag
    with h5py.File(path, "r+") as file:
        said = dict(file["probe"].attrs)
        del file["probe"]
        file["probe"] = parts
        file["probe"].attrs.update(said)
    result = validate_product(path)
    assert result.accepted
    np.testing.assert_array_equal(result.value.probe, product.probe)


UNREADABLE: dict[str, tuple[str, Callable[[h5py.File], Any], str]] = {
    "patterns in another file": (
        "raw_data/diffraction",
        lambda f: f.__setitem__("raw_data/diffraction", h5py.ExternalLink("scan.h5", "/data")),
        "hdf5.link",
    ),
    "patterns that claim terabytes": (
        "raw_data/diffraction",
        lambda f: f.create_dataset("raw_data/diffraction", (1 << 20, 1 << 11, 1 << 11), "f8", chunks=(1, 64, 64)),
        "archive.expansion",
    ),
    "a table of losses": (
        "loss_values",
        lambda f: f.create_dataset("loss_values", data=np.zeros(3, [("epoch", "i4"), ("loss", "f8")])),
        "member.dtype",
    ),
    "a group of photon counts": (
        "probe_photon_counts",
        lambda f: f.create_group("probe_photon_counts"),
        "member.dtype",
    ),
}


@pytest.mark.parametrize(("name", "write", "code"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_a_product_does_without_is_left_out_where_it_cannot_be_read_and_that_is_said(
    product: Product, tmp_path: Path, name: str, write: Callable[[h5py.File], Any], code: str
) -> None:
    path, x = tmp_path / "p.h5", np.arange(9.0)
    write_product(path, product)
    with h5py.File(path, "r+") as file:
        if name in file:
            del file[name]
        if name.startswith("raw_data"):
            for column in ("xcoords", "ycoords", "scan_index"):
                file[f"raw_data/{column}"] = x
        write(file)
    result = validate_product(path)
    assert result.accepted
    assert (code, "warning", f"dataset {name}") in {(v.code, v.severity, v.place) for v in result.violations}
    np.testing.assert_array_equal(result.value.object, product.object)
    assert result.value.patterns is None
