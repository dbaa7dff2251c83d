"""A product written is the product read, in either form the same bytes every time; old HDF5 files still open."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti import open_store
from smalti.codecs.product import Product, to_metres, to_pixels
from smalti.contracts.violation import errors
from smalti.errors import NotFound, Refused, Unavailable
from smalti.products import RawBundle, import_product, read_product, read_raw_bundle, validate_product, write_product
from smalti.products.container import load_layout, save_layout
from smalti.products.layout import Dataset, Layout
from smalti.products.translation import layout_of


def assert_equal(left: Product, right: Product) -> None:
    assert left.metadata == right.metadata
    for name in (field.name for field in fields(Product) if field.name not in ("metadata", "contract", "patterns")):
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
        bad_pixels=np.eye(12, dtype=bool),
    )


forms = pytest.mark.parametrize("form", [".h5", ".hdf5", ".npz"])


@forms
@pytest.mark.parametrize("rich", [True, False])
def test_a_product_written_is_the_product_read(tmp_path: Path, product: Product, rich: bool, form: str) -> None:
    plain = replace(product, probe=product.probe[:1], opr_weights=None, probe_photon_counts=None)
    wanted = product if rich else plain
    write_product(tmp_path / "new" / f"p{form}", wanted)
    assert_equal(read_product(tmp_path / "new" / f"p{form}"), wanted)


@forms
def test_a_sound_product_breaks_nothing(tmp_path: Path, product: Product, form: str) -> None:
    assert write_product(tmp_path / f"p{form}", product, bundle_of(product)) == ()
    result = validate_product(tmp_path / f"p{form}")
    assert (result.accepted, result.violations) == (True, ())
    assert_equal(result.value, product)
    np.testing.assert_array_equal(result.value.patterns.diffraction, bundle_of(product).diffraction)


@forms
def test_equal_products_are_equal_bytes_in_any_process(tmp_path: Path, product: Product, form: str) -> None:
    again = replace(product, probe=np.asfortranarray(product.probe), object=product.object.astype(">c8"))
    a, b, c = (tmp_path / f"{name}{form}" for name in "abc")
    write_product(a, product, bundle_of(product))
    write_product(b, again, bundle_of(product))
    code = (
        "import sys; from pathlib import Path; from smalti.products import *; a, b = map(Path, sys.argv[1:]);"
        "write_product(b, read_product(a), read_raw_bundle(a))"
    )
    subprocess.run([sys.executable, "-c", code, a, c], check=True)
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in (a, b, c)}) == 1
    assert times_of_writing(a) <= {0, (1980, 1, 1, 0, 0, 0)}


def times_of_writing(path: Path) -> set[Any]:
    """Return the times that a file states; were there any, equal files would differ a second later."""
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            return {member.date_time for member in archive.infolist()}
    names: list[str] = []
    with h5py.File(path) as file:
        file.visit(names.append)
        return {h5py.h5g.get_objinfo(file.id, name.encode()).mtime for name in names}


def test_the_file_speaks_to_old_and_new_releases(tmp_path: Path, product: Product) -> None:
    write_product(tmp_path / "p.h5", product)
    with h5py.File(tmp_path / "p.h5") as file:
        assert file.attrs["photon_energy_eV"] == file.attrs["probe_energy_eV"] == 8800.0
        assert file.attrs["mass_attenuation_m2_per_kg"] == file.attrs["mass_attenuation_m2_kg"] == 0.25
        np.testing.assert_array_equal(file["costs"], file["loss_values"])
        np.testing.assert_array_equal(file["probe"].attrs["opr_weights"], file["opr_weights"])
        assert file["probe"].ndim == 4
        assert file["object"].ndim == 3


def test_opr_weights_too_large_for_a_header_are_an_attribute_too(tmp_path: Path, product: Product) -> None:
    many = 5000
    large = replace(
        product,
        probe_position_x_m=np.full(many, product.metadata.object_center_x_m),
        probe_position_y_m=np.full(many, product.metadata.object_center_y_m),
        probe_position_indexes=np.arange(many),
        opr_weights=np.random.default_rng(0).normal(size=(many, 2)),
        probe_photon_counts=None,
    )
    for name in ("p.h5", "again.h5"):
        write_product(tmp_path / name, large)
    with h5py.File(tmp_path / "p.h5", "r+") as file:
        np.testing.assert_array_equal(file["probe"].attrs["opr_weights"], large.opr_weights)
    assert_equal(read_product(tmp_path / "p.h5"), large)
    assert (tmp_path / "p.h5").read_bytes() == (tmp_path / "again.h5").read_bytes()
    [violation] = validate_product(tmp_path / "p.h5").violations
    assert violation.code == "positions.degenerate"


@forms
def test_unknown_is_written_as_zero_and_read_as_unknown(tmp_path: Path, product: Product, form: str) -> None:
    names = ("photon_energy_eV", "detector_object_distance_m", "tomography_angle_deg")
    unknown = replace(product, metadata=product.metadata.model_copy(update=dict.fromkeys(names)))
    path = tmp_path / f"p{form}"
    warnings = write_product(path, unknown)
    assert [warning.place for warning in warnings] == ["detector_object_distance_m", "photon_energy_eV"]
    assert [load_layout(path, ()).attrs[name] for name in names] == [0.0, 0.0, 0.0]
    assert_equal(read_product(path), unknown)


@forms
@pytest.mark.parametrize("bad", [True, False])
def test_a_raw_bundle_written_is_the_bundle_read(tmp_path: Path, product: Product, form: str, bad: bool) -> None:
    bundle = bundle_of(product) if bad else replace(bundle_of(product), bad_pixels=None)
    write_product(tmp_path / f"p{form}", product, bundle)
    read = read_raw_bundle(tmp_path / f"p{form}")
    assert read is not None
    for field in fields(RawBundle):
        np.testing.assert_array_equal(getattr(read, field.name), getattr(bundle, field.name))
    assert read.diffraction.dtype == np.uint16
    whole = import_product(tmp_path / f"p{form}")
    assert whole.patterns is not None
    np.testing.assert_array_equal(whole.patterns.diffraction, bundle.diffraction)
    assert_equal(whole.product, product)


def test_links_to_the_guesses_cost_nothing(tmp_path: Path, product: Product) -> None:
    write_product(tmp_path / "p.h5", product, bundle_of(product))
    with h5py.File(tmp_path / "p.h5") as file:
        assert file["raw_data/probeGuess"] == file["probe"]
        assert file["raw_data/objectGuess"] == file["object"]
        assert (file.attrs["format_id"], file.attrs["format_version"]) == ("ptychodus.product.hdf5", "1.0")
        assert (file.attrs["bundle_version"], file.attrs["contains_raw_data"]) == ("1.0", 1)
        assert file["raw_data/diffraction"].attrs["axis_canonical"] == "NHW"


def test_patterns_of_a_product_are_written_again_and_kept_in_a_store(tmp_path: Path, product: Product) -> None:
    write_product(tmp_path / "p.h5", product, bundle_of(product))
    whole = import_product(tmp_path / "p.h5").product
    write_product(tmp_path / "again.h5", whole)
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "p.h5").read_bytes()
    store = open_store("memory:")
    kept = store.get(store.put(whole))
    assert_equal(kept, product)
    for field in fields(RawBundle):
        np.testing.assert_array_equal(getattr(kept.patterns, field.name), getattr(bundle_of(product), field.name))
    assert store.put(replace(kept, patterns=None)).digest == store.put(product).digest


def test_a_product_without_patterns_has_no_bundle(tmp_path: Path, product: Product) -> None:
    write_product(tmp_path / "p.h5", product)
    assert read_raw_bundle(tmp_path / "p.h5") is None


def test_a_name_that_says_no_form_is_refused(tmp_path: Path, product: Product) -> None:
    with pytest.raises(Refused, match=r"p\.mat would be a product of unknown form; let its name end in \.h5 or"):
        write_product(tmp_path / "p.mat", product)
    assert list(tmp_path.iterdir()) == []


@forms
def test_the_content_of_a_file_decides_how_it_is_read(tmp_path: Path, product: Product, form: str) -> None:
    write_product(tmp_path / f"p{form}", product)
    renamed = (tmp_path / f"p{form}").rename(tmp_path / "p.product")
    assert_equal(read_product(renamed), product)


def test_a_broken_product_is_not_written(tmp_path: Path, product: Product) -> None:
    write_product(tmp_path / "p.h5", product)
    before = (tmp_path / "p.h5").read_bytes()
    twice = replace(product, probe_position_indexes=np.zeros(9, dtype=np.int64))
    with pytest.raises(Refused, match="found 8 of 9 values that repeat another"):
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
    codes = {violation.code for violation in validate_product(path).violations}
    assert codes == {"product.old_name", "product.losses_ignored", "product.opr_attribute"}


@pytest.mark.parametrize("outermost", [[], [0.0], [np.inf]])
@pytest.mark.parametrize("form", [".h5", ".npz"])
def test_0_7_names_are_read_and_nothing_of_them_is_lost(
    tmp_path: Path, product: Product, form: str, outermost: list[float]
) -> None:
    metadata = product.metadata.model_copy(
        update={"probe_photon_count": None, "mass_attenuation_m2_per_kg": None, "tomography_angle_deg": None,
                "tilt_angle_deg": None, "polarization": None, "probe_photons_per_s": 3e7}
    )  # fmt: skip
    wanted = replace(product, metadata=metadata, probe=product.probe[:1], opr_weights=None, probe_photon_counts=None)
    layout = layout_of(wanted)
    kept = (
        "name",
        "comments",
        "detector_object_distance_m",
        "probe_energy_eV",
        "probe_photons_per_s",
        "exposure_time_s",
    )
    distance = Dataset(np.array([1e-6, *outermost]))
    datasets = {name: value for name, value in layout.datasets.items() if not name.startswith(("loss", "object_layer"))}
    datasets["object_layer_distance_m"] = distance
    save_layout(tmp_path / f"p{form}", Layout({name: layout.attrs[name] for name in kept}, datasets))
    assert_equal(read_product(tmp_path / f"p{form}"), wanted)
    write_product(tmp_path / f"today{form}", read_product(tmp_path / f"p{form}"))
    assert_equal(read_product(tmp_path / f"today{form}"), wanted)
    result = validate_product(tmp_path / f"p{form}")
    assert not errors(result.violations)


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
    with pytest.raises(Refused, match=r"text\.h5: the file: .*, wanted an HDF5 file"):
        read_product(tmp_path / "text.h5")
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file["probe"] = np.ones((4, 4))
    with pytest.raises(Refused, match="probe: found dtype float64, wanted complex values"):
        read_product(tmp_path / "empty.h5")


@pytest.mark.parametrize(
    ("key", "array", "says"),
    [
        ("probe", np.array([{}], dtype=object), "pickle"),
        ("probe", np.array(["text"]), "probe: found dtype <U4, wanted complex values"),
        ("object_center_x_m", np.ones(2), r"object_center_x_m: found array\(\[1., 1.\]\), wanted a number"),
        ("object_center_x_m", np.array("far"), "object_center_x_m: found 'far', wanted a number"),
        ("object", np.ones((1, 40, 44)), "object: found dtype float64, wanted complex values"),
    ],
)
def test_an_archive_that_is_no_product_is_refused(
    tmp_path: Path, product: Product, key: str, array: Any, says: str
) -> None:
    write_product(tmp_path / "p.npz", product)
    with np.load(tmp_path / "p.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "p.npz", **{**arrays, key: array})
    with pytest.raises(Refused, match=says):
        read_product(tmp_path / "p.npz")


def test_numbers_in_arrays_of_one_are_numbers(tmp_path: Path, product: Product) -> None:
    write_product(tmp_path / "p.npz", product)
    with np.load(tmp_path / "p.npz") as file:
        arrays = {name: array.reshape(1) if array.ndim == 0 else array for name, array in file.items()}
    np.savez(tmp_path / "p.npz", **arrays)
    assert_equal(read_product(tmp_path / "p.npz"), product)


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
    with pytest.raises(Refused, match=r"dataset object: found (a link|data in another file|a group)"):
        read_product(path)


@pytest.mark.parametrize(("form", "whole_file"), [(".h5", "HDF5 file"), (".npz", r"\.npz archive")])
def test_a_file_cut_short_is_refused_wherever_it_is_cut(
    tmp_path: Path, product: Product, form: str, whole_file: str
) -> None:
    write_product(tmp_path / f"p{form}", product)
    whole = (tmp_path / f"p{form}").read_bytes()
    for length in range(0, len(whole), 509):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(Refused, match=f"an empty file|found damage .* wanted a whole {whole_file}; copy the file"):
            read_product(tmp_path / "cut")


def test_a_dataset_that_claims_more_than_its_file_can_hold_is_refused(tmp_path: Path, product: Product) -> None:
    write_product(tmp_path / "p.h5", product)
    with h5py.File(tmp_path / "p.h5", "r+") as file:
        del file["object"]
        file.create_dataset("object", (1 << 20, 1 << 20), "c8", chunks=(64, 64))
    with pytest.raises(Refused, match=r"dataset object: found 8796093022208 bytes or more"):
        read_product(tmp_path / "p.h5")
    assert "archive.expansion" in {violation.code for violation in validate_product(tmp_path / "p.h5").violations}


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
