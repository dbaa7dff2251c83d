"""What follows from the physics of a scan: the size of an object pixel, in one place."""

from __future__ import annotations

import pytest

from smalti.codecs.scan import ScanMetadata, Stated, object_pixel_m, object_pixels_m

PIXEL_M = 1.239841984332003e-6 / 8000 * 2 / (16 * 75e-6)


def test_a_pixel_size_follows_from_the_far_field_only() -> None:
    values = {"photon_energy_eV": Stated(value=8000), "detector_distance_m": Stated(value=2, assumed=True)}
    far = ScanMetadata(name="a", **values, detector_pixel_size_m=Stated(value=75e-6))
    assert object_pixel_m(far, 16) == Stated(
        value=object_pixels_m(far, (16, 16))[1].value,
        assumed=True,
        note="wavelength * distance / (16 * detector pixel)",
    )
    assert object_pixel_m(far, 32).value == pytest.approx(PIXEL_M / 2)
    assert object_pixel_m(far.model_copy(update={"far_field": False}), 16) is None
    assert object_pixel_m(far.model_copy(update={"photon_energy_eV": None}), 16) is None
    stated = far.model_copy(update={"object_pixel_size_m": Stated(value=1e-9), "far_field": False})
    assert object_pixel_m(stated, 16) == Stated(value=1e-9)
