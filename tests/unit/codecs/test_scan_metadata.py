"""What follows from the physics of a scan: the size of an object pixel, in one place."""

from __future__ import annotations

import pytest

from smalti.codecs.scan import ScanMetadata, Stated, object_pixel_m, object_pixels_m, require_object_pixels_m
from smalti.errors import Refused

PIXEL_M = 1.239841984332003e-6 / 8000 * 2 / (16 * 75e-6)
FAR = ScanMetadata(
    name="a",
    photon_energy_eV=Stated(value=8000),
    detector_distance_m=Stated(value=2, assumed=True),
    detector_pixel_size_m=Stated(value=75e-6),
)


def test_a_pixel_size_follows_from_the_far_field_only() -> None:
    assert object_pixel_m(FAR, 16) == Stated(
        value=object_pixels_m(FAR, (16, 16))[1].value,
        assumed=True,
        note="wavelength * distance / (16 * detector pixel)",
    )
    assert object_pixel_m(FAR, 32).value == pytest.approx(PIXEL_M / 2)
    assert object_pixel_m(FAR.model_copy(update={"far_field": False}), 16) is None
    assert object_pixel_m(FAR.model_copy(update={"photon_energy_eV": None}), 16) is None
    stated = FAR.model_copy(update={"object_pixel_size_m": Stated(value=1e-9), "far_field": False})
    assert object_pixel_m(stated, 16) == Stated(value=1e-9)


def test_a_pattern_that_is_not_square_has_object_pixels_that_are_not() -> None:
    width, height = object_pixels_m(FAR, (32, 16)) or (None, None)
    assert (width.value, height.value) == (pytest.approx(PIXEL_M), pytest.approx(PIXEL_M / 2))


@pytest.mark.parametrize(
    ("without", "says"),
    [
        (("photon_energy_eV",), "state object_pixel_size_m, or photon_energy_eV in its card"),
        (
            ("photon_energy_eV", "detector_pixel_size_m"),
            "state object_pixel_size_m, or photon_energy_eV and detector_pixel_size_m in its card",
        ),
        (("far_field",), "state object_pixel_size_m in its card"),
    ],
)
def test_where_nothing_gives_a_pixel_size_the_refusal_names_what_would(without: tuple[str, ...], says: str) -> None:
    bare = FAR.model_copy(update={name: False if name == "far_field" else None for name in without})
    assert object_pixels_m(bare, (16, 16)) is None
    with pytest.raises(Refused, match=f"scan a has no object pixel size, .*; {says}"):
        require_object_pixels_m(bare, (16, 16))
    known = bare.model_copy(update={"object_pixel_size_m": Stated(value=1e-9)})
    assert require_object_pixels_m(known, (16, 16))[0].value == 1e-9
