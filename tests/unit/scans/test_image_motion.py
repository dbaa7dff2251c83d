"""Images of the near field move against the probe; of the readings of the positions, the one that says so is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smalti.codecs.scan import Scan
from smalti.contracts.violation import Violation, errors
from smalti.scans import Card, conform
from smalti.scans.image_motion import best_reading, fit_of, measured_shifts
from smalti.simulation import card_fields, simulate_near_field, simulate_star

CARD = {"name": "a", "source": "b", "version": "1", "licence": "d"}
# What is saved for what was: the sign of a column, and its order.
READINGS = {
    (name, order): (1 if name == "positions_if_probe_moved" else -1, order)
    for name in ("positions_if_probe_moved", "positions_if_sample_moved")
    for order in (("x", "y"), ("y", "x"))
}


@pytest.fixture(scope="module")
def near() -> Scan:
    return simulate_near_field("near", positions_per_side=5, photons_per_pattern=1e5)


def described(scan: Scan, **reading: Any) -> Card:
    """The card of a scan without its object."""
    return Card.model_validate({**CARD, "physics": card_fields(scan)["physics"], "reading": reading})


def as_cxi(scan: Scan, name: str, order: tuple[str, str], **more: Any) -> dict[str, Any]:
    """The scan as a reader gives it, its positions in a table that is right only if read as ``name``, ``order``."""
    sign = READINGS[name, order][0]
    true = {"x": scan.xcoords, "y": scan.ycoords}
    table = np.stack([true[letter] for letter in order], axis=1) * 1e-7
    probe, sample = ("positions_if_probe_moved", "positions_if_sample_moved")
    tables = {probe: table, sample: -table} if sign > 0 else {probe: -table, sample: table}
    return {"diffraction": np.rint(scan.diffraction**2).astype("u4"), **tables, **more}


def asked(arrays: dict[str, Any], *, far_field: bool) -> Violation:
    said = Card.model_validate({**CARD, "physics": {"far_field": far_field}})
    missing = [v for v in errors(conform(arrays, said, file_name="a.h5").violations) if v.code == "key.missing"]
    assert [v.place for v in missing] == ["xcoords", "ycoords"]
    return missing[0]


@pytest.mark.parametrize(("name", "order"), READINGS)
@pytest.mark.parametrize("photons", [1e4, 1e6])
def test_the_reading_as_which_the_images_move_is_named_first(name: str, order: tuple[str, str], photons: float) -> None:
    scan = simulate_near_field("near", positions_per_side=5, photons_per_pattern=photons)
    remedy = asked(as_cxi(scan, name, order), far_field=False).remedy
    first = f"write reading.positions: {{key: {name}, order: [{', '.join(order)}]}} in a.h5.card.yaml"
    assert remedy.startswith(f"{first}, for the images of neighbouring positions move only so (or ")
    assert remedy.count("order: ") == 4


@pytest.mark.parametrize(("name", "order"), READINGS)
def test_without_a_word_of_the_near_field_the_reason_says_what_it_depends_on(
    near: Scan, name: str, order: tuple[str, str]
) -> None:
    remedy = asked(as_cxi(near, name, order), far_field=True).remedy
    assert remedy.startswith(f"write reading.positions: {{key: {name}, order: [{', '.join(order)}]}}")
    assert "and in the near field (physics.far_field: false) only so" in remedy


def test_gaps_and_hot_pixels_do_not_hide_the_movement(near: Scan) -> None:
    arrays = as_cxi(near, "positions_if_sample_moved", ("y", "x"))
    arrays["diffraction"][:, 20:23] = 2**32 - 1
    arrays["diffraction"][3, 40, 40] = 2**31
    remedy = asked(arrays, far_field=False).remedy
    assert "key: positions_if_sample_moved, order: [y, x]" in remedy.split(" (or ")[0]


def test_patterns_that_do_not_move_say_nothing(arrays: dict[str, Any]) -> None:
    table = np.stack([arrays.pop("xcoords"), arrays.pop("ycoords")], axis=1)
    del arrays["objectGuess"]
    remedy = asked({**arrays, "positions_if_probe_moved": table, "positions_if_sample_moved": -table}, far_field=False)
    assert remedy.remedy.startswith(
        "write reading.positions: {key: positions_if_probe_moved, order: [x, y]} in a.h5.card.yaml (or order: [y, x]"
    )
    assert " move " not in remedy.remedy


def test_three_columns_are_read_without_z(near: Scan) -> None:
    table = np.stack([near.xcoords, near.ycoords, np.zeros(len(near.xcoords))], axis=1)
    remedy = asked({"diffraction": near.diffraction, "motors": table}, far_field=False).remedy
    assert remedy.startswith("write reading.positions: {key: motors, order: [x, y, z]}")
    said = described(near, positions={"key": "motors", "order": ["x", "y", "z"]})
    result = conform({"diffraction": near.diffraction, "motors": table}, said)
    np.testing.assert_array_equal(result.value.xcoords, near.xcoords)
    turned = conform({"diffraction": near.diffraction, "motors": table.T}, said)
    np.testing.assert_array_equal(turned.value.ycoords, near.ycoords)


CHANGED = {
    "both were mirrored (sample for probe)": lambda x, y: (-x, -y),
    "x and y were swapped": lambda x, y: (y, x),
    "x was mirrored": lambda x, y: (-x, y),
    "y was mirrored": lambda x, y: (x, -y),
    "x and y were swapped and mirrored": lambda x, y: (-y, -x),
}


@pytest.mark.parametrize("seen", CHANGED)
def test_a_near_field_scan_whose_images_move_otherwise_is_accepted_with_a_warning(near: Scan, seen: str) -> None:
    x, y = CHANGED[seen](near.xcoords, near.ycoords)
    arrays = {"diffraction": near.diffraction, "xcoords": x, "ycoords": y}
    result = conform(arrays, described(near))
    [warning] = [v for v in result.violations if v.code == "positions.movement"]
    assert warning.severity == "warning"
    assert warning.found == f"positions and patterns that move as if {seen}"
    np.testing.assert_array_equal(result.value.xcoords, x)


def test_a_scan_whose_images_move_with_its_positions_has_no_warning(near: Scan) -> None:
    arrays = {"diffraction": near.diffraction, "xcoords": near.xcoords, "ycoords": near.ycoords}
    assert conform(arrays, described(near)).violations == ()


def test_in_the_far_field_only_swapped_axes_are_seen() -> None:
    """The shadow image of a defocused probe moves along the axes of the scan, which way depends on the focus."""
    star = simulate_star("star", positions_per_side=6)
    said = described(star)
    for x, y, codes in (
        (star.xcoords, star.ycoords, []),
        (-star.xcoords, -star.ycoords, []),
        (star.ycoords, star.xcoords, ["positions.movement"]),
    ):
        result = conform({"diffraction": star.diffraction, "xcoords": x, "ycoords": y}, said)
        assert [v.code for v in result.violations] == codes


def test_shifts_are_those_of_the_images() -> None:
    """A scene cut out at known places: the shift is minus the difference of the places, to a pixel."""
    scene = np.random.default_rng(0).poisson(50, (200, 200)).astype("f8")
    scene = (scene + np.roll(scene, 1, 0) + np.roll(scene, 1, 1)) / 3
    corners = np.array([(r, c) for r in (10, 17, 24) for c in (30, 35, 40)])
    patterns = np.array([scene[r : r + 96, c : c + 96] for r, c in corners])
    shifts = measured_shifts(patterns, corners.astype("f8"))
    moved = corners[shifts.second] - corners[shifts.first]
    np.testing.assert_allclose(np.stack([shifts.rows, shifts.columns], axis=1), -moved, atol=1)
    assert len(shifts.first) >= 9
    assert fit_of(shifts, corners[:, 1] * 1e-9, corners[:, 0] * 1e-9) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_patterns_tell_nothing(near: Scan, count: int) -> None:
    positions = np.stack([near.xcoords, near.ycoords], axis=1)[:count]
    shifts = measured_shifts(near.diffraction[:count], positions)
    assert fit_of(shifts, *positions.T) is None
    assert best_reading(shifts, {"a": tuple(positions.T)}) is None
