"""A product written is the product read, the same bytes every time, and old files still open."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.codecs.product import Product
from smalti.errors import NotFound, Refused, Unavailable
from smalti.products import RawBundle, read_product, read_raw_bundle, validate_product, write_product
from smalti.products.frame import to_metres, to_pixels


def assert_equal(left: Product, right: Product) -> None:
    assert left.metadata == right.metadata
    for name in (field.name for field in fields(Product) if field.name != "metadata"):
        ours, theirs = getattr(left, name), getattr(right, name)
        assert (ours is None) == (theirs is None), name
        if ours is not None:
            assert ours.dtype == theirs.dtype, name
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


def bundle_of(product: Product) -> RawBundle:
    pixel_m, metadata = product.metadata.object_pixel_width_m, product.metadata
    height, width = product.object.shape[1:]
    return RawBundle(
        diffraction=np.arange(9 * 12 * 12, dtype=np.uint16).reshape(9, 12, 12),
        unit="counts",
        xcoords=to_pixels(product.probe_position_x_m, width, pixel_m, metadata.object_center_x_m),
        ycoords=to_pixels(product.probe_position_y_m, height, pixel_m, metadata.object_center_y_m),
        scan_index=product.probe_position_indexes,
        original_axis_order="HWN",
    )


@pytest.mark.parametrize("opr", [True, False])
def test_a_product_written_is_the_product_read(tmp_path: Path, product: Product, opr: bool) -> None:
    wanted = product if opr else replace(product, probe=product.probe[:1], opr_weights=None)
    write_product(tmp_path / "new" / "p.h5", wanted)
    assert_equal(read_product(tmp_path / "new" / "p.h5"), wanted)


def test_a_sound_product_has_no_finding(tmp_path: Path, product: Product) -> None:
    assert write_product(tmp_path / "p.h5", product, bundle_of(product)) == ()
    assert validate_product(tmp_path / "p.h5") == ()


def test_equal_products_are_equal_bytes_in_any_process(tmp_path: Path, product: Product) -> None:
    again = replace(product, probe=np.asfortranarray(product.probe), object=product.object.astype(">c8"))
    write_product(tmp_path / "a.h5", product, bundle_of(product))
    write_product(tmp_path / "b.h5", again, bundle_of(product))
    code = (
        "import sys; from pathlib import Path; from smalti.products import *; a, b = map(Path, sys.argv[1:]);"
        "write_product(b, read_product(a), read_raw_bundle(a))"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "a.h5", tmp_path / "c.h5"], check=True)
    digests = {hashlib.sha256((tmp_path / f"{n}.h5").read_bytes()).hexdigest() for n in "abc"}
    assert len(digests) == 1
    with h5py.File(tmp_path / "a.h5") as file:  # a time of writing would make them differ a second later
        names: list[str] = []
        file.visit(names.append)
        assert {h5py.h5g.get_objinfo(file.id, name.encode()).mtime for name in names} == {0}


def test_the_file_speaks_to_old_and_new_releases(tmp_path: Path, product: Product) -> None:
    write_product(tmp_path / "p.h5", product)
    with h5py.File(tmp_path / "p.h5") as file:
        assert file.attrs["photon_energy_eV"] == file.attrs["probe_energy_eV"] == 8800.0
        assert file.attrs["mass_attenuation_m2_per_kg"] == file.attrs["mass_attenuation_m2_kg"] == 0.25
        np.testing.assert_array_equal(file["costs"], file["loss_values"])
        np.testing.assert_array_equal(file["probe"].attrs["opr_weights"], file["opr_weights"])
        assert file["probe"].ndim == 4
        assert file["object"].ndim == 3


def test_opr_weights_too_large_for_an_attribute_are_a_dataset_only(tmp_path: Path, product: Product) -> None:
    many = 5000
    large = replace(
        product,
        probe_position_x_m=np.full(many, product.metadata.object_center_x_m),
        probe_position_y_m=np.full(many, product.metadata.object_center_y_m),
        probe_position_indexes=np.arange(many),
        opr_weights=np.ones((many, 2)),
    )
    write_product(tmp_path / "p.h5", large)
    with h5py.File(tmp_path / "p.h5") as file:
        assert "opr_weights" not in file["probe"].attrs
    assert_equal(read_product(tmp_path / "p.h5"), large)


def test_unknown_is_written_as_zero_and_read_as_unknown(tmp_path: Path, product: Product) -> None:
    names = ("photon_energy_eV", "detector_object_distance_m", "tomography_angle_deg")
    unknown = replace(product, metadata=product.metadata.model_copy(update=dict.fromkeys(names)))
    warnings = write_product(tmp_path / "p.h5", unknown)
    assert [finding.place for finding in warnings] == ["detector_object_distance_m", "photon_energy_eV"]
    with h5py.File(tmp_path / "p.h5", "r+") as file:
        assert [file.attrs[name] for name in names] == [0.0, 0.0, 0.0]
    assert_equal(read_product(tmp_path / "p.h5"), unknown)


def test_a_raw_bundle_written_is_the_bundle_read_and_links_cost_nothing(tmp_path: Path, product: Product) -> None:
    bundle = bundle_of(product)
    write_product(tmp_path / "p.h5", product, bundle)
    read = read_raw_bundle(tmp_path / "p.h5")
    assert read is not None
    for field in fields(RawBundle):
        np.testing.assert_array_equal(getattr(read, field.name), getattr(bundle, field.name))
    assert read.diffraction.dtype == np.uint16
    with h5py.File(tmp_path / "p.h5") as file:
        assert file["raw_data/probeGuess"] == file["probe"]
        assert file["raw_data/objectGuess"] == file["object"]
        assert (file.attrs["bundle_version"], file.attrs["contains_raw_data"]) == ("1.0", 1)
        assert file["raw_data/diffraction"].attrs["axis_canonical"] == "NHW"


def test_a_product_without_patterns_has_no_bundle(tmp_path: Path, product: Product) -> None:
    write_product(tmp_path / "p.h5", product)
    assert read_raw_bundle(tmp_path / "p.h5") is None


def test_a_broken_product_is_not_written(tmp_path: Path, product: Product) -> None:
    write_product(tmp_path / "p.h5", product)
    before = (tmp_path / "p.h5").read_bytes()
    twice = replace(product, probe_position_indexes=np.zeros(9, dtype=np.int64))
    with pytest.raises(Refused, match="1 different numbers for 9 positions"):
        write_product(tmp_path / "p.h5", twice)
    assert (tmp_path / "p.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["p.h5"]


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path, product: Product) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="could not be written"):
        write_product(tmp_path / "file" / "p.h5", product)


def test_ptychopinn_and_1_0_names_are_read(tmp_path: Path, product: Product) -> None:
    path = tmp_path / "p.h5"
    write_product(path, product)
    with h5py.File(path, "r+") as file:
        for name in ("photon_energy_eV", "mass_attenuation_m2_per_kg", "unknown_values", "far_field"):
            del file.attrs[name]
        for name in ("loss_values", "loss_epochs", "opr_weights"):
            del file[name]
    metadata = product.metadata.model_copy(update={"focus_object_distance_m": 0.0})
    assert_equal(read_product(path), replace(product, metadata=metadata))
    assert {finding.code for finding in validate_product(path)} == {"old-name", "losses-ignored", "opr-attribute"}


def test_flat_arrays_and_missing_options_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.h5"
    with h5py.File(path, "w") as file:
        file["probe_position_indexes"] = [0, 1]
        file["probe_position_x_m"] = file["probe_position_y_m"] = [0.0, 1e-7]
        file["probe"] = np.ones((4, 4), complex)
        file["object"] = np.ones((12, 12), complex)
        names = ("center_x_m", "center_y_m", "pixel_width_m", "pixel_height_m")
        file["object"].attrs.update(dict(zip(names, (0.0, 0.0, 1e-7, 2e-7), strict=True)))
        file.attrs["name"] = np.bytes_(b"bytes")
    read = read_product(path)
    assert (read.probe.shape, read.object.shape, read.probe.dtype) == ((1, 1, 4, 4), (1, 12, 12), complex)
    assert (read.metadata.name, read.metadata.photon_energy_eV) == ("bytes", None)
    assert (read.metadata.probe_pixel_width_m, read.metadata.probe_pixel_height_m) == (1e-7, 2e-7)
    assert read.loss_epochs.shape == read.object_layer_spacing_m.shape == (0,)


def test_what_is_no_product_is_refused_with_its_faults(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        read_product(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(Refused, match="cannot be read as HDF5"):
        read_product(tmp_path / "text.h5")
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file["probe"] = np.ones((4, 4))
    with pytest.raises(Refused, match="probe holds float64; wanted: complex numbers"):
        read_product(tmp_path / "empty.h5")


@pytest.mark.parametrize("kind", ["external link", "soft link", "external storage", "virtual", "group"])
def test_data_from_another_file_is_never_read(tmp_path: Path, product: Product, kind: str) -> None:
    path, secret = tmp_path / "p.h5", tmp_path / "secret.h5"
    write_product(path, product)
    write_product(secret, product)
    with h5py.File(path, "r+") as file:
        del file["object"]
        if kind == "external link":
            file["object"] = h5py.ExternalLink("secret.h5", "/object")
        elif kind == "soft link":
            file["object"] = h5py.SoftLink("/probe")
        elif kind == "external storage":
            file.create_dataset("object", (40, 44), "c8", external=[(str(secret), 0, 40 * 44 * 8)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((2, 40, 44), "c8")
            layout[:] = h5py.VirtualSource("secret.h5", "object", (2, 40, 44))
            file.create_virtual_dataset("object", layout)
        else:
            file.create_group("object")
    with pytest.raises(Refused, match=r"object of .* (link|another file|no dataset)"):
        read_product(path)


def test_a_file_cut_short_is_refused_wherever_it_is_cut(tmp_path: Path, product: Product) -> None:
    write_product(tmp_path / "p.h5", product)
    whole = (tmp_path / "p.h5").read_bytes()
    for length in range(0, len(whole), 509):
        (tmp_path / "cut.h5").write_bytes(whole[:length])
        with pytest.raises(Refused, match="cannot be read as HDF5"):
            read_product(tmp_path / "cut.h5")


def test_a_dataset_that_claims_more_than_its_file_can_hold_is_refused(tmp_path: Path, product: Product) -> None:
    write_product(tmp_path / "p.h5", product)
    with h5py.File(tmp_path / "p.h5", "r+") as file:
        del file["object"]
        file.create_dataset("object", (1 << 20, 1 << 20), "c8", chunks=(64, 64))
    with pytest.raises(Refused, match=r"object of .* claims 8796093022208 bytes"):
        validate_product(tmp_path / "p.h5")


@given(
    st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20),
    st.integers(1, 4000),
    st.floats(1e-10, 1e-5),
    st.floats(-1e-2, 1e-2),
)
def test_pixels_to_metres_and_back_is_the_identity(
    pixels: list[float], size: int, pixel_m: float, center_m: float
) -> None:
    metres = to_metres(np.array(pixels), size, pixel_m, center_m)
    # A float64 metre has 2**-52 of its size as its grain; here that grain in pixels.
    grain = np.spacing(abs(center_m) + (max(map(abs, pixels)) + size) * pixel_m) / pixel_m
    np.testing.assert_allclose(to_pixels(metres, size, pixel_m, center_m), pixels, rtol=0, atol=8 * grain)
