"""Each check finds its fault, names the place, and stays silent otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from smalti.codecs.product import Product
from smalti.errors import Refused
from smalti.products import RawBundle
from smalti.products.layout import Dataset, Layout
from smalti.products.product_file import layout_of
from smalti.products.validate import findings


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
            center_m = layout.number(f"center_{letter}_m", on="object") or 0.0
            shrink = with_array(f"probe_position_{letter}_m", lambda a, c=center_m: c + factor * (a - c))
            layout = shrink(layout)
        return layout

    return apply


def first_is_nan(array: np.ndarray) -> np.ndarray:
    return np.concatenate([np.full_like(array[:1], np.nan), array[1:]])


FAULTS = [
    (without("probe"), "error", "missing", "probe"),
    (without("probe_position_x_m"), "error", "missing", "probe_position_x_m"),
    (without("detector_object_distance_m"), "error", "missing", "detector_object_distance_m"),
    (with_attr("center_x_m", np.nan, "object"), "error", "missing", "object.center_x_m"),
    (with_array("object", np.abs), "error", "dtype", "object"),
    (with_array("object", lambda a: a[0, 0]), "error", "dimensions", "object"),
    (with_array("probe_position_indexes", lambda a: a.astype(float)), "error", "dtype", "probe_position_indexes"),
    (with_array("probe", first_is_nan), "error", "not-finite", "probe"),
    (with_array("probe_position_x_m", first_is_nan), "error", "not-finite", "probe_position_x_m"),
    (with_array("probe_position_y_m", lambda a: a[:-1]), "error", "lengths", "probe_position_y_m"),
    (with_array("loss_epochs", lambda a: a[:-1]), "error", "lengths", "loss_epochs"),
    (with_array("opr_weights", lambda a: a[:-1]), "error", "opr-shape", "opr_weights"),
    (with_array("opr_weights", lambda a: a[:, :1]), "error", "opr-shape", "opr_weights"),
    (with_array("object_layer_spacing_m", lambda a: a[:0]), "error", "layer-spacing", "object_layer_spacing_m"),
    (with_array("probe", lambda a: a[..., :0]), "error", "empty", "the product"),
    (with_array("probe_position_indexes", np.zeros_like), "error", "indexes", "probe_position_indexes"),
    (with_attr("pixel_width_m", 0.0, "probe"), "error", "pixel-size", "probe.pixel_width_m"),
    (with_attr("pixel_width_m", -1e-8, "object"), "error", "pixel-size", "object.pixel_width_m"),
    (with_attr("pixel_width_m", 1.25e-7, "probe"), "warning", "pixel-mismatch", "probe.pixel_width_m"),
    (with_attr("center_x_m", 0.0, "object"), "error", "outside-object", "probe_position_x_m"),
    (with_array("probe_position_y_m", lambda a: a + 10 * 4e-8), "error", "outside-object", "probe_position_y_m"),
    (with_array("probe_position_y_m", lambda a: a + 5 * 4e-8), "warning", "overhangs-object", "probe_position_y_m"),
    (with_array("probe_position_y_m", lambda a: a - 5 * 4e-8), "warning", "overhangs-object", "probe_position_y_m"),
    (with_attr("photon_energy_eV", np.inf), "error", "not-finite", "photon_energy_eV"),
    (with_attr("detector_object_distance_m", 0.0), "warning", "unknown", "detector_object_distance_m"),
    (with_attr("mass_attenuation_m2_kg", 1.0), "error", "names-disagree", "mass_attenuation_m2_per_kg"),
    (with_attr("probe_energy_eV", 1.0), "error", "names-disagree", "photon_energy_eV"),
    (without("photon_energy_eV"), "warning", "old-name", "probe_energy_eV"),
    (with_attr("polarization", "linear"), "warning", "polarization", "polarization"),
    (without("loss_epochs"), "warning", "losses-ignored", "loss_values"),
    (without("opr_weights"), "warning", "opr-attribute", "opr_weights"),
    (with_array("opr_weights", lambda a: a + 1), "error", "names-disagree", "opr_weights"),
    (with_array("probe_photon_counts", lambda a: -a), "error", "negative", "probe_photon_counts"),
    (with_array("probe_photon_counts", lambda a: a[1:]), "error", "lengths", "probe_photon_counts"),
    (with_array("object_layer_spacing_m", lambda a: a * np.nan), "error", "not-finite", "object_layer_spacing_m"),
    (with_attr("photon_energy_eV", 8.8), "warning", "implausible", "photon_energy_eV"),
    (with_attr("photon_energy_eV", 8.8e6), "warning", "implausible", "photon_energy_eV"),
    (with_attr("detector_object_distance_m", 1.9e3), "warning", "implausible", "detector_object_distance_m"),
    (with_attr("pixel_width_m", 0.04, "probe"), "warning", "implausible", "probe.pixel_width_m"),
    (with_attr("pixel_width_m", 4e-14, "object"), "warning", "implausible", "object.pixel_width_m"),
    (at_a_scale_of(1e-4), "warning", "no-spread", "probe_position_x_m and probe_position_y_m"),
    (with_array("raw_data/bad_pixels", lambda a: a[1:]), "error", "lengths", "raw_data/bad_pixels"),
    (with_array("raw_data/xcoords", lambda a: a + 0.5), "error", "raw-frame", "raw_data/xcoords"),
    (with_array("raw_data/diffraction", lambda a: a[:-1]), "error", "lengths", "raw_data/diffraction"),
    (with_array("raw_data/diffraction", lambda a: a[0]), "error", "dimensions", "raw_data/diffraction"),
]


@pytest.fixture
def layout(product: Product) -> Layout:
    x, y = np.meshgrid([11.5, 21.5, 31.5], [9.5, 19.5, 29.5])
    patterns = np.ones((9, 12, 12), np.uint16)
    bad = np.eye(12, dtype=bool)
    return layout_of(product, RawBundle(patterns, "counts", x.ravel(), y.ravel(), np.arange(9), bad_pixels=bad))


def test_a_sound_layout_has_no_finding(layout: Layout) -> None:
    assert findings(layout) == ()


@pytest.mark.parametrize(("fault", "severity", "code", "place"), FAULTS)
def test_each_fault_is_found_where_it_is(
    layout: Layout, fault: Callable[[Layout], Layout], severity: str, code: str, place: str
) -> None:
    found = findings(fault(layout))
    assert (severity, code, place) in {(f.severity, f.code, f.place) for f in found}
    assert str(found[0]).startswith(f"{found[0].severity}: {found[0].place} ")


def test_losses_that_are_nowhere_are_a_warning(layout: Layout) -> None:
    bare = without("costs")(without("loss_values")(layout))
    assert [finding.code for finding in findings(bare)] == ["no-losses"]


def test_patterns_without_a_unit_are_a_warning(layout: Layout) -> None:
    patterns = replace(layout.datasets["raw_data/diffraction"], attrs={})
    bare = replace(layout, datasets={**layout.datasets, "raw_data/diffraction": patterns})
    assert [finding.code for finding in findings(bare)] == ["raw-unit"]


def test_pixels_may_differ_in_the_near_field(layout: Layout) -> None:
    near = with_attr("far_field", False)(with_attr("pixel_width_m", 1.25e-7, "probe")(layout))
    assert findings(near) == ()


def test_errors_come_before_warnings(layout: Layout) -> None:
    both = with_attr("center_y_m", 0.0, "object")(with_attr("photon_energy_eV", 0.0)(layout))
    severities = [finding.severity for finding in findings(both)]
    assert severities == sorted(severities)
    assert set(severities) == {"error", "warning"}


def test_an_attribute_that_is_no_number_is_refused(layout: Layout) -> None:
    with pytest.raises(Refused, match=r"photon_energy_eV of the product is 'eight'; write it as one number"):
        findings(with_attr("photon_energy_eV", "eight")(layout))
