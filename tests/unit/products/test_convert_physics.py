"""Positions, pixel sizes and physics of a scan file in its product: what the card, the file and the options say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti.contracts.violation import errors
from smalti.errors import ContractBroken
from smalti.products import (
    ExportMeta,
    export_scan,
    import_product_to_rawdata,
    read_product,
    validate_product,
)
from smalti.scans import read_scan

Arrays = dict[str, Any]
KNOWN = ExportMeta(name="run", detector_distance_m=2.0, probe_energy_eV=8000.0, object_pixel_width_m=4e-8,
                   object_pixel_height_m=4e-8)  # fmt: skip
CARD = {"name": "star", "source": "a beamline", "version": "1", "licence": "CC0-1.0"}


def in_metres(arrays: Arrays, pixel_m: float, **physics: float) -> dict[str, Any]:
    """Bring the positions to metres, and return the card that says so."""
    for key in ("xcoords", "ycoords"):
        arrays[key] = arrays[key] * pixel_m
    return {
        "reading": {"positions": {"xcoords": "xcoords", "ycoords": "ycoords", "unit": "m"}},
        "physics": {name: {"value": value} for name, value in physics.items()},
    }


def test_positions_in_metres_are_those_of_the_file(convert: Callable[..., tuple[Any, Path]], arrays: Arrays) -> None:
    """The card says that they are in metres, and how large a pixel and an energy are."""
    card = in_metres(arrays, 5e-8, object_pixel_size_m=5e-8, photon_energy_eV=8000)
    found, path = convert(ExportMeta(), card=card)
    product = read_product(path)
    np.testing.assert_allclose(product.probe_position_x_m, arrays["xcoords"], rtol=3e-16)  # a last digit at most
    np.testing.assert_allclose(product.probe_position_y_m, arrays["ycoords"], rtol=3e-16)
    assert (product.metadata.photon_energy_eV, product.metadata.name) == (8000, "star")
    assert {v.code for v in found} == {"scan_index.repeated", "losses.none", "product.unknown"}


def test_the_pixel_follows_from_the_card_where_no_option_states_it(
    convert: Callable[..., tuple[Any, Path]],
) -> None:
    physics = {"photon_energy_eV": 8000.0, "detector_distance_m": 2.0, "detector_pixel_size_m": 75e-6}
    _, path = convert(ExportMeta(), card={"physics": {name: {"value": value} for name, value in physics.items()}})
    metadata = read_product(path).metadata
    assert metadata.object_pixel_width_m == pytest.approx(1.5498024804e-10 * 2.0 / (16 * 75e-6))
    assert "computed as wavelength * distance" in metadata.comments
    assert "Source: a beamline" in metadata.comments
    assert "CONVERTED: diffraction: counts to amplitude by the square root" in metadata.comments


def test_an_option_replaces_what_the_card_states_and_the_contradiction_is_said(
    convert: Callable[..., tuple[Any, Path]],
) -> None:
    card = {"physics": {"photon_energy_eV": {"value": 8800}, "exposure_time_s": {"value": 0.1, "assumed": True}}}
    found, path = convert(KNOWN, card=card)
    metadata = read_product(path).metadata
    assert (metadata.photon_energy_eV, metadata.exposure_time_s) == (8000.0, 0.1)
    assert "ASSUMED: exposure_time_s = 0.1 is assumed" in metadata.comments
    [said] = [v for v in found if v.code == "physics.contradiction"]
    assert str(said) == (
        "photon_energy_eV: found 8800 for the scan and 8000 for this product, wanted one value; 8000 was used; correct "
        "the one that is wrong."
    )


def test_a_pixel_size_that_the_cards_physics_contradict_is_said(convert: Callable[..., tuple[Any, Path]]) -> None:
    physics = {"photon_energy_eV": 8000.0, "detector_distance_m": 2.0, "detector_pixel_size_m": 75e-6}
    found, path = convert(KNOWN, card={"physics": {name: {"value": value} for name, value in physics.items()}})
    assert read_product(path).metadata.object_pixel_width_m == 4e-8
    [said] = [v for v in found if v.code == "physics.contradiction"]
    assert str(said).startswith("object_pixel_size_m: found 4e-08 m stated and 2.583e-07 m from wavelength * distance")


def test_a_pixel_size_that_replaces_the_cards_moves_no_position_that_the_file_has_in_metres(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays
) -> None:
    card = in_metres(arrays, 4e-8, object_pixel_size_m=5e-8)
    found, path = convert(KNOWN, card=card)
    product = read_product(path)
    np.testing.assert_allclose(product.probe_position_x_m, arrays["xcoords"], rtol=1e-12)
    assert product.metadata.object_pixel_width_m == 4e-8
    assert [v.place for v in found if v.code == "physics.contradiction"] == ["object_pixel_size_m"]


def test_an_option_gives_the_pixel_that_metres_need(convert: Callable[..., tuple[Any, Path]], arrays: Arrays) -> None:
    card = in_metres(arrays, 4e-8)
    _, path = convert(KNOWN, card=card)
    np.testing.assert_allclose(read_product(path).probe_position_x_m, arrays["xcoords"], rtol=1e-12)
    with pytest.raises(ContractBroken, match="metres and no pixel size"):
        convert(ExportMeta(), card=card)


def test_a_scan_in_memory_is_exported_as_its_file_is(convert: Callable[..., tuple[Any, Path]], arrays: Arrays) -> None:
    card = in_metres(arrays, 5e-8, object_pixel_size_m=5e-8, photon_energy_eV=8000)
    _, path = convert(ExportMeta(), card=card)
    export_scan(read_scan(path.with_name("scan.npz")), path.with_name("again.h5"))
    assert path.with_name("again.h5").read_bytes() == path.read_bytes()


def test_the_near_field_stays_the_near_field(convert: Callable[..., tuple[Any, Path]], arrays: Arrays) -> None:
    arrays["diffraction"] = np.ones((5, 16, 16), np.float32) * np.sqrt(2.0).astype(np.float32)
    card = {"physics": {"far_field": False}, "reading": {"diffraction": {"quantity": "amplitude"}}}
    assert not read_product(convert(KNOWN, card=card)[1]).metadata.far_field


def test_positions_in_metres_are_pixels_times_pixel_size_when_no_centre_is_given(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays
) -> None:
    product = read_product(convert()[1])
    np.testing.assert_allclose(product.probe_position_x_m, arrays["xcoords"] * 4e-8, rtol=1e-12)
    assert product.metadata.object_center_x_m == pytest.approx(34.5 * 4e-8)


def test_a_given_centre_moves_the_world_and_not_the_scan_in_its_object(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays
) -> None:
    _, path = convert(ExportMeta(object_center_x_m=0.0, object_center_y_m=-3e-6))
    assert read_product(path).metadata.object_center_y_m == -3e-6
    np.testing.assert_allclose(import_product_to_rawdata(path).xcoords, arrays["xcoords"], atol=1e-9)
    assert not errors(validate_product(path).violations)


def test_the_probe_pixel_follows_the_object_and_a_different_one_is_a_warning(
    convert: Callable[..., tuple[Any, Path]],
) -> None:
    assert read_product(convert()[1]).metadata.probe_pixel_width_m == 4e-8
    found, _ = convert(ExportMeta(probe_pixel_width_m=1.25e-7, probe_pixel_height_m=1.25e-7))
    assert "field.pixels_differ" in {violation.code for violation in found}


def test_what_nobody_said_is_unknown_and_what_was_assumed_is_noted(convert: Callable[..., tuple[Any, Path]]) -> None:
    found, path = convert(ExportMeta(comments="mine", detector_distance_m=0.0))
    metadata = read_product(path).metadata
    assert (metadata.detector_object_distance_m, metadata.photon_energy_eV) == (None, None)
    comments = metadata.comments.split("\n")
    assert comments[0] == "mine"
    assert "ASSUMED: object pixel size 5e-08 m." in comments
    assert "ASSUMED: pattern numbers 0, 1, 2, ..., because scan_index repeats." in comments
    assert "UNKNOWN, written as 0: detector_object_distance_m, photon_energy_eV," in metadata.comments
    assert ("physics.pixel_size", "warning") in {(v.code, v.severity) for v in found}
