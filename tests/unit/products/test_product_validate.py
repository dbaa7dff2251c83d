"""Each check finds its fault, names the place, and stays silent otherwise; what harms nobody is accepted."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalti.codecs.product import Product, RawBundle
from smalti.contracts import PRODUCT, contract_named
from smalti.contracts.violation import Violation, errors
from smalti.ingest.validate import validate_file
from smalti.products import import_product, read_product, validate_product, write_product
from smalti.products.layout import Dataset, Layout
from smalti.products.translation import layout_of
from smalti.products.validate import validate_layout


def violations(layout: Layout) -> tuple[Violation, ...]:
    return validate_layout(layout).violations


def with_array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Layout], Layout]:
    def apply(layout: Layout) -> Layout:
        changed = replace(layout.datasets[name], array=change(layout.datasets[name].array))
        return replace(layout, datasets={**layout.datasets, name: changed})

    return apply


def with_attr(name: str, value: object, on: str | None = None) -> Callable[[Layout], Layout]:
    def apply(layout: Layout) -> Layout:
        if on is None:
            return replace(layout, attrs={**layout.attrs, name: value})
        changed = replace(layout.datasets[on], attrs={**layout.datasets[on].attrs, name: value})
        return replace(layout, datasets={**layout.datasets, on: changed})

    return apply


def without(name: str) -> Callable[[Layout], Layout]:
    def apply(layout: Layout) -> Layout:
        attrs = {key: value for key, value in layout.attrs.items() if key != name}
        datasets: dict[str, Dataset] = {key: value for key, value in layout.datasets.items() if key != name}
        return replace(layout, attrs=attrs, datasets=datasets)

    return apply


def at_a_scale_of(factor: float) -> Callable[[Layout], Layout]:
    """Bring every position nearer to the object's centre."""

    def apply(layout: Layout) -> Layout:
        for letter in "xy":
            center_m = layout.attribute(f"center_{letter}_m", on="object")
            shrink = with_array(f"probe_position_{letter}_m", lambda a, c=center_m: c + factor * (a - c))
            layout = shrink(layout)
        return layout

    return apply


def first_is_nan(array: np.ndarray) -> np.ndarray:
    return np.concatenate([np.full_like(array[:1], np.nan), array[1:]])


FAULTS = [
    (without("probe"), "error", "key.missing", "probe"),
    (without("probe_position_x_m"), "error", "key.missing", "probe_position_x_m"),
    (without("detector_object_distance_m"), "error", "product.attribute_missing", "detector_object_distance_m"),
    (with_attr("photon_energy_eV", "eight"), "error", "product.attribute_type", "photon_energy_eV"),
    (with_attr("photon_energy_eV", np.ones(2)), "error", "product.attribute_type", "photon_energy_eV"),
    (with_attr("center_x_m", np.nan, "object"), "error", "field.not_finite", "object_center_x_m"),
    (with_attr("center_x_m", "far", "object"), "error", "field.type", "object_center_x_m"),
    (with_array("object", np.abs), "error", "array.dtype", "object"),
    (with_array("object", lambda a: a[0, 0]), "error", "array.rank", "object"),
    (with_array("object", lambda a: a[None]), "error", "array.rank", "object"),
    (with_array("probe_position_indexes", lambda a: a + 0.5), "error", "array.dtype", "probe_position_indexes"),
    (with_array("probe_position_indexes", lambda a: a + np.uint64(2**63)), "error", "array.dtype",
     "probe_position_indexes"),
    (with_array("probe", first_is_nan), "error", "array.not_finite", "probe"),
    (with_array("probe", np.zeros_like), "error", "array.all_zero", "probe"),
    (with_array("probe_position_x_m", first_is_nan), "error", "array.not_finite", "probe_position_x_m"),
    (with_array("probe_position_y_m", lambda a: a[:-1]), "error", "dimension.mismatch", "probe_position_y_m"),
    (with_array("loss_epochs", lambda a: a[:-1]), "error", "dimension.mismatch", "loss_epochs"),
    (with_array("opr_weights", lambda a: a[:-1]), "error", "dimension.mismatch", "opr_weights"),
    (with_array("opr_weights", lambda a: a[:, :1]), "error", "dimension.mismatch", "opr_weights"),
    (with_array("object_layer_spacing_m", lambda a: a[:0]), "error", "layers.spacing", "object_layer_spacing_m"),
    (with_array("object_layer_spacing_m", lambda a: a * np.nan), "error", "array.not_finite",
     "object_layer_spacing_m"),
    (with_array("probe", lambda a: a[..., :0]), "error", "array.empty", "probe"),
    (with_array("probe_position_indexes", np.zeros_like), "error", "probe_position_indexes.repeated",
     "probe_position_indexes"),
    (with_attr("pixel_width_m", 0.0, "probe"), "error", "field.out_of_range", "probe_pixel_width_m"),
    (with_attr("pixel_width_m", -1e-8, "object"), "error", "field.out_of_range", "object_pixel_width_m"),
    (with_attr("pixel_width_m", 1.25e-7, "probe"), "warning", "field.pixels_differ", "probe_pixel_width_m"),
    (with_attr("center_x_m", 0.0, "object"), "error", "positions.outside_object", "probe_position_x_m"),
    (with_array("probe_position_y_m", lambda a: a + 10 * 4e-8), "error", "positions.outside_object",
     "probe_position_y_m"),
    (with_array("probe_position_y_m", lambda a: a + 5 * 4e-8), "warning", "positions.overhang_object",
     "probe_position_y_m"),
    (with_array("probe_position_y_m", lambda a: a - 5 * 4e-8), "warning", "positions.overhang_object",
     "probe_position_y_m"),
    (with_attr("photon_energy_eV", np.inf), "warning", "field.not_finite", "photon_energy_eV"),
    (with_attr("photon_energy_eV", -8000.0), "warning", "field.out_of_range", "photon_energy_eV"),
    (with_attr("detector_object_distance_m", 0.0), "warning", "product.unknown", "detector_object_distance_m"),
    (with_attr("mass_attenuation_m2_kg", 1.0), "error", "product.names_disagree", "mass_attenuation_m2_per_kg"),
    (with_attr("probe_energy_eV", 1.0), "error", "product.names_disagree", "photon_energy_eV"),
    (without("photon_energy_eV"), "warning", "product.old_name", "probe_energy_eV"),
    (with_attr("polarization", "linear"), "warning", "field.category", "polarization"),
    (without("loss_epochs"), "warning", "product.losses_ignored", "loss_values"),
    (with_array("loss_values", first_is_nan), "warning", "array.not_finite", "loss_values"),
    (without("opr_weights"), "warning", "product.opr_attribute", "opr_weights"),
    (with_array("opr_weights", lambda a: a + 1), "error", "product.names_disagree", "opr_weights"),
    (with_array("probe_photon_counts", lambda a: -a), "error", "array.below_minimum", "probe_photon_counts"),
    (with_array("probe_photon_counts", lambda a: a[1:]), "error", "dimension.mismatch", "probe_photon_counts"),
    (with_attr("photon_energy_eV", 8.8), "warning", "field.implausible", "photon_energy_eV"),
    (with_attr("photon_energy_eV", 8.8e6), "warning", "field.implausible", "photon_energy_eV"),
    (with_attr("detector_object_distance_m", 1.9e3), "warning", "field.implausible", "detector_object_distance_m"),
    (with_attr("pixel_width_m", 0.04, "probe"), "warning", "field.implausible", "probe_pixel_width_m"),
    (with_attr("pixel_width_m", 4e-14, "object"), "warning", "field.implausible", "object_pixel_width_m"),
    (at_a_scale_of(1e-4), "warning", "positions.degenerate", "probe_position_x_m and probe_position_y_m"),
    (with_array("raw_data/bad_pixels", lambda a: a[1:]), "error", "dimension.mismatch", "raw_data/bad_pixels"),
    (with_array("raw_data/bad_pixels", lambda a: a * 7), "error", "array.dtype", "raw_data/bad_pixels"),
    (with_array("raw_data/xcoords", lambda a: a + 0.5), "error", "positions.raw_data", "raw_data/xcoords"),
    (with_array("raw_data/diffraction", lambda a: a[:-1]), "error", "dimension.mismatch", "raw_data/diffraction"),
    (with_array("raw_data/diffraction", lambda a: a[0]), "error", "array.rank", "raw_data/diffraction"),
    (with_array("raw_data/diffraction", lambda a: a * np.nan), "warning", "array.not_finite",
     "raw_data/diffraction"),
    (without("raw_data/xcoords"), "warning", "product.raw_data", "raw_data"),
]  # fmt: skip


@pytest.fixture
def layout(product: Product) -> Layout:
    x, y = np.meshgrid([11.5, 21.5, 31.5], [9.5, 19.5, 29.5])
    patterns = np.ones((9, 12, 12), np.uint16)
    bad = np.eye(12, dtype=bool)
    return layout_of(product, RawBundle(patterns, "counts", x.ravel(), y.ravel(), np.arange(9), bad_pixels=bad))


def test_a_sound_product_breaks_nothing(layout: Layout) -> None:
    result = validate_layout(layout)
    assert (result.accepted, result.violations, result.contract) == (True, (), PRODUCT.id)


@pytest.mark.parametrize(("fault", "severity", "code", "place"), FAULTS)
def test_each_fault_is_found_where_it_is_and_an_error_rejects(
    layout: Layout, fault: Callable[[Layout], Layout], severity: str, code: str, place: str
) -> None:
    result = validate_layout(fault(layout))
    assert (severity, code, place) in {(v.severity, v.code, v.place) for v in result.violations}
    assert result.accepted == (not errors(result.violations))
    assert severity == "warning" or not result.accepted


@pytest.mark.parametrize(("fault", "severity", "code", "place"), FAULTS)
def test_nothing_is_said_twice(
    layout: Layout, fault: Callable[[Layout], Layout], severity: str, code: str, place: str
) -> None:
    said = [(violation.place, violation.code) for violation in violations(fault(layout))]
    assert len(set(said)) == len(said)
    assert len([v for v in violations(fault(layout)) if (v.code, v.place) == (code, place)]) == 1


def test_a_product_in_memory_and_its_file_are_held_to_one_contract(product: Product, tmp_path: Path) -> None:
    """What the contract says of the value, it says of the file, and no more is said where the file is ours."""
    shifted = replace(product, probe_position_y_m=product.probe_position_y_m + 5 * 4e-8)
    write_product(tmp_path / "p.h5", shifted)
    assert PRODUCT.check(shifted) == validate_product(tmp_path / "p.h5").violations


def test_every_door_gives_the_same_answer(product: Product, tmp_path: Path) -> None:
    write_product(tmp_path / "p.h5", product)
    with h5py.File(tmp_path / "p.h5", "r+") as file:
        file["probe_position_indexes"][:] = 0
        file.attrs["photon_energy_eV"] = 8.8
    result = validate_product(tmp_path / "p.h5")
    assert validate_file(tmp_path / "p.h5", contract_named("product")) == result
    assert not result.accepted
    assert {v.code for v in errors(result.violations)} == {"probe_position_indexes.repeated", "product.names_disagree"}


def test_losses_that_are_nowhere_are_a_warning(layout: Layout) -> None:
    bare = without("costs")(without("loss_values")(layout))
    assert [(v.code, v.severity) for v in violations(without("loss_epochs")(bare))] == [("losses.none", "warning")]


def test_patterns_without_a_unit_are_a_warning(layout: Layout) -> None:
    patterns = replace(layout.datasets["raw_data/diffraction"], attrs={})
    bare = replace(layout, datasets={**layout.datasets, "raw_data/diffraction": patterns})
    assert [violation.code for violation in violations(bare)] == ["product.raw_unit"]


def test_pixels_may_differ_in_the_near_field(layout: Layout) -> None:
    near = with_attr("far_field", False)(with_attr("pixel_width_m", 1.25e-7, "probe")(layout))
    assert violations(near) == ()


def test_errors_come_before_warnings(layout: Layout) -> None:
    both = with_attr("center_y_m", 0.0, "object")(with_attr("photon_energy_eV", 0.0)(layout))
    severities = [violation.severity for violation in violations(both)]
    assert severities == sorted(severities)
    assert set(severities) == {"error", "warning"}


def squeezed_column(array: np.ndarray) -> np.ndarray:
    return array[:, None]


HARMLESS: dict[str, Callable[[Layout], Layout]] = {
    "whole numbers as floats": with_array("probe_position_indexes", lambda a: a.astype(">f8")),
    "short unsigned numbers": with_array("probe_position_indexes", lambda a: a.astype("u2")),
    "indexes as a column": with_array("probe_position_indexes", squeezed_column),
    "positions as columns": with_array("probe_position_x_m", squeezed_column),
    "positions of another width": with_array("probe_position_x_m", lambda a: a.astype(">f8").astype(np.longdouble)),
    "a big-endian probe": with_array("probe", lambda a: a.astype(">c16")),
    "a long complex object": with_array("object", lambda a: a.astype(np.clongdouble)),
    "losses as a row": with_array("loss_values", lambda a: a[None]),
    "losses as half floats": with_array("loss_values", lambda a: a.astype("f2")),
    "epochs as floats": with_array("loss_epochs", lambda a: a.astype(float)),
    "bad pixels as 0 and 1": with_array("raw_data/bad_pixels", lambda a: a.astype("u1")),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_numbers_of_any_type_and_byte_order_are_the_same_numbers(
    layout: Layout, change: Callable[[Layout], Layout]
) -> None:
    usual, unusual = validate_layout(layout), validate_layout(change(layout))
    assert unusual.violations == ()
    assert unusual.accepted
    for name in ("probe_position_indexes", "probe_position_x_m", "probe", "object", "loss_epochs"):
        ours, theirs = getattr(usual.value, name), getattr(unusual.value, name)
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
        assert theirs.dtype.isnative, name
    assert len(unusual.conversions) <= 1


def test_what_was_converted_is_said(layout: Layout) -> None:
    result = validate_layout(with_array("probe_position_indexes", lambda a: a.astype(float)[:, None])(layout))
    assert result.conversions == ("probe_position_indexes: float64 (9, 1) to int64 (9,)",)


def test_losses_that_were_never_written_are_no_losses(layout: Layout) -> None:
    empty = layout
    for name in ("loss_values", "costs", "loss_epochs"):
        empty = with_array(name, lambda a: a[:0])(empty)
    result = validate_layout(empty)
    assert [(v.code, v.severity) for v in result.violations] == [("losses.none", "warning")]
    assert result.value.loss_values.shape == result.value.loss_epochs.shape == (0,)


def test_a_run_that_diverged_keeps_its_losses(layout: Layout) -> None:
    both = with_array("costs", first_is_nan)(with_array("loss_values", first_is_nan)(layout))
    result = validate_layout(both)
    assert result.accepted
    assert np.isnan(result.value.loss_values).tolist() == [True, False, False, False, False]


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


def test_a_product_that_is_wrong_can_be_read_and_one_whose_parts_do_not_fit_cannot(
    product: Product, tmp_path: Path
) -> None:
    """PtychoPINN leaves every index 0 and the object's centre at 0, and its files hold what people measured."""
    path = tmp_path / "p.h5"
    write_product(path, product)
    with h5py.File(path, "r+") as file:
        file["object"].attrs["center_x_m"] = 0.0
        file["probe_position_indexes"][:] = 0
        file.attrs["photon_energy_eV"] = "eight"
    assert len(errors(validate_product(path).violations)) == 4
    assert validate_file(path, contract_named("readable-product")).accepted
    assert read_product(path).metadata.photon_energy_eV is None
    with h5py.File(path, "r+") as file:
        del file["probe_position_x_m"]
    assert not validate_file(path, contract_named("readable-product")).accepted
