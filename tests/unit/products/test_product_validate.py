"""Each check finds its fault, names the place, and stays silent otherwise; numbers of any type are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from smalti.codecs.product import Product, RawBundle
from smalti.contracts import PRODUCT, contract_named
from smalti.contracts.violation import Violation, errors
from smalti.ingest.validate import validate_file
from smalti.products import read_product, validate_product, write_product
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
