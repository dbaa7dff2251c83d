"""Pixels become metres in the scan's frame; what is assumed or unknown is written down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.codecs.product import to_pixels
from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan, Stated
from smalti.errors import Refused
from smalti.products import product_from_reconstruction, raw_bundle_of, validate_product, write_product

# 12.398... keV Å / 8 keV * 2 m / (8 * 75 µm), worked out by hand.
PIXEL_M = 1.5498024804e-10 * 2.0 / (8 * 75e-6)


def stating(scan: Scan, **values: Stated | None) -> Scan:
    return replace(scan, metadata=scan.metadata.model_copy(update=values))


def test_positions_are_the_scan_pixels_times_the_pixel_size(scan: Scan, reconstruction: Reconstruction) -> None:
    product = product_from_reconstruction(scan, reconstruction, "run")
    np.testing.assert_allclose(product.probe_position_x_m, scan.xcoords * PIXEL_M, rtol=1e-9)
    np.testing.assert_allclose(product.probe_position_y_m, scan.ycoords * PIXEL_M, rtol=1e-9)


def test_ptychodus_finds_the_positions_where_the_solver_had_them(scan: Scan, reconstruction: Reconstruction) -> None:
    product = product_from_reconstruction(scan, reconstruction, "run")
    m = product.metadata
    x = to_pixels(product.probe_position_x_m, 26, m.object_pixel_width_m, m.object_center_x_m)
    y = to_pixels(product.probe_position_y_m, 24, m.object_pixel_height_m, m.object_center_y_m)
    np.testing.assert_allclose(x, reconstruction.xcoords, atol=1e-9)
    np.testing.assert_allclose(y, reconstruction.ycoords, atol=1e-9)


def test_the_product_of_a_scan_is_sound(tmp_path: Path, scan: Scan, reconstruction: Reconstruction) -> None:
    product = product_from_reconstruction(scan, reconstruction, "run")
    assert write_product(tmp_path / "p.h5", product, raw_bundle_of(scan, reconstruction)) == ()
    assert validate_product(tmp_path / "p.h5").violations == ()
    assert product.probe.shape == (1, 2, 8, 8)
    assert product.loss_epochs.tolist() == [0, 1, 2]


def test_comments_state_source_licence_assumptions_and_what_is_unknown(
    scan: Scan, reconstruction: Reconstruction
) -> None:
    comments = product_from_reconstruction(scan, reconstruction, "run").metadata.comments.split("\n")
    assert comments[:4] == [
        "A Siemens star",
        "Source: a beamline",
        "Licence: BSD-3-Clause",
        "ASSUMED: detector_distance_m = 2 is assumed: usual at this beamline",
    ]
    assert "computed as wavelength * distance" in comments[4]
    assert comments[5].startswith("UNKNOWN, written as 0: probe_photon_count, exposure_time_s,")
    assert len(comments) == 6


def test_a_stated_pixel_size_is_taken_as_it_is(scan: Scan, reconstruction: Reconstruction) -> None:
    bare = stating(scan, photon_energy_eV=None, object_pixel_size_m=Stated(value=1e-8))
    metadata = product_from_reconstruction(bare, reconstruction, "run").metadata
    assert metadata.object_pixel_width_m == metadata.probe_pixel_height_m == 1e-8
    assert metadata.photon_energy_eV is None


def test_detector_pixels_that_are_not_square_make_object_pixels_that_are_not(
    scan: Scan, reconstruction: Reconstruction
) -> None:
    wide = stating(
        scan,
        detector_pixel_size_m=None,
        detector_pixel_width_m=Stated(value=75e-6),
        detector_pixel_height_m=Stated(value=150e-6),
    )
    product = product_from_reconstruction(wide, reconstruction, "run")
    metadata = product.metadata
    assert metadata.object_pixel_width_m == metadata.probe_pixel_width_m == pytest.approx(PIXEL_M)
    assert metadata.object_pixel_height_m == metadata.probe_pixel_height_m == pytest.approx(PIXEL_M / 2)
    np.testing.assert_allclose(product.probe_position_y_m, scan.ycoords * PIXEL_M / 2, rtol=1e-9)
    assert "wavelength * distance / (8 * detector pixel height)" in metadata.comments


def test_no_pixel_size_is_refused_with_what_the_card_must_state(scan: Scan, reconstruction: Reconstruction) -> None:
    bare = stating(scan, photon_energy_eV=None, detector_pixel_size_m=None)
    with pytest.raises(Refused, match="object_pixel_size_m, or photon_energy_eV and detector_pixel_size_m in its card"):
        product_from_reconstruction(bare, reconstruction, "run")


def test_the_near_field_needs_a_stated_pixel_and_stays_the_near_field(
    scan: Scan, reconstruction: Reconstruction
) -> None:
    near = replace(scan, metadata=scan.metadata.model_copy(update={"far_field": False}))
    with pytest.raises(Refused, match=r"star has no object pixel size, .* state object_pixel_size_m in its card\."):
        product_from_reconstruction(near, reconstruction, "run")
    known = stating(near, object_pixel_size_m=Stated(value=1e-7))
    assert product_from_reconstruction(known, reconstruction, "run").metadata.far_field is False
    assert product_from_reconstruction(scan, reconstruction, "run").metadata.far_field is True


def test_bad_pixels_travel_with_the_patterns(scan: Scan, reconstruction: Reconstruction) -> None:
    bad = np.eye(8, dtype=bool)
    assert raw_bundle_of(scan, reconstruction).bad_pixels is None
    np.testing.assert_array_equal(raw_bundle_of(replace(scan, bad_pixels=bad), reconstruction).bad_pixels, bad)


def test_pattern_numbers_are_kept_when_unique_and_counted_when_not(scan: Scan, reconstruction: Reconstruction) -> None:
    assert product_from_reconstruction(scan, reconstruction, "run").probe_position_indexes.tolist() == [7, 5, 6, 4]
    zeros = replace(scan, scan_index=np.zeros(4, np.int64))
    assert product_from_reconstruction(zeros, reconstruction, "run").probe_position_indexes.tolist() == [0, 1, 2, 3]


def test_a_reconstruction_of_another_scan_is_refused(scan: Scan, reconstruction: Reconstruction) -> None:
    other = replace(reconstruction, xcoords=reconstruction.xcoords[:3], ycoords=reconstruction.ycoords[:3])
    with pytest.raises(Refused, match="has 3 positions and scan star has 4"):
        product_from_reconstruction(scan, other, "run")
