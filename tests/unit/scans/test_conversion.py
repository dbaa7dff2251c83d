"""Legacy forms become canonical scans, each conversion recorded; two possible readings become a violation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from smalti.codecs.scan import Scan
from smalti.contracts import ValidationResult
from smalti.contracts.violation import errors
from smalti.scans import Card, conform

Arrays = dict[str, Any]
CARD = {"name": "star", "source": "a beamline", "version": "1", "licence": "CC0-1.0"}


def card(**sections: Any) -> Card:
    return Card.model_validate({**CARD, **sections})


def accepted(outcome: ValidationResult) -> Scan:
    assert outcome.value is not None, [str(v) for v in outcome.violations]
    return outcome.value


def test_canonical_keys_need_no_conversion(arrays: Arrays) -> None:
    outcome = conform(arrays, file_name="star.npz")
    scan = accepted(outcome)
    assert [(v.code, v.severity) for v in outcome.violations] == [("physics.pixel_size", "warning")]
    assert scan.metadata.conversions == ()
    assert (scan.metadata.name, scan.metadata.contract, scan.metadata.object_role) == ("star", "scan/3", "guess")
    assert scan.probe_guess is not None
    assert scan.probe_guess.shape == (1, 16, 16)
    assert [a.dtype for a in (scan.diffraction, scan.xcoords, scan.scan_index)] == ["f4", "f8", "i8"]
    np.testing.assert_array_equal(scan.diffraction, arrays["diffraction"])


def _counts(a: Arrays, dtype: str) -> None:
    a["diffraction"] = np.rint(a["diffraction"].astype("f8") ** 2).astype(dtype)


LEGACY: dict[str, tuple[Any, list[str]]] = {
    "diff3d": (lambda a: a.update(diff3d=a.pop("diffraction")), ["diffraction: named diff3d in the file"]),
    "double": (
        lambda a: a.update(diffraction=a["diffraction"].astype("f8")),
        ["diffraction: dtype float64 to float32"],
    ),
    "big-endian": (
        lambda a: a.update({k: a[k].astype(a[k].dtype.newbyteorder(">")) for k in ("diffraction", "xcoords")}),
        ["diffraction: dtype >f4 to float32", "xcoords: dtype >f8 to float64"],
    ),
    "last axis counts": (
        lambda a: a.update(diffraction=np.moveaxis(a["diffraction"], 0, -1)),
        ["diffraction: last axis moved to the front"],
    ),
    "singletons": (
        lambda a: a.update(diffraction=a["diffraction"][None, ..., None], xcoords=a["xcoords"][:, None]),
        [
            "diffraction: axes of length 1 dropped, (1, 12, 16, 16, 1) to (12, 16, 16)",
            "xcoords: axes of length 1 dropped, (12, 1) to (12,)",
        ],
    ),
    "uint16 counts": (
        lambda a: _counts(a, "u2"),
        ["diffraction: dtype uint16 to float32", "diffraction: counts to amplitude by the square root"],
    ),
    "float counts": (lambda a: _counts(a, "f4"), ["diffraction: counts to amplitude by the square root"]),
    "DC at the corner": (
        lambda a: a.update(diffraction=np.fft.ifftshift(a["diffraction"], axes=(1, 2))),
        ["diffraction: DC moved from the corner to the centre (fftshift)"],
    ),
    "no index": (lambda a: a.pop("scan_index"), ["scan_index: absent, numbered 0 to 11"]),
    "index as float": (
        lambda a: a.update(scan_index=np.arange(12.0)),
        ["scan_index: dtype float64 to int64"],
    ),
    "modes last": (
        lambda a: a.update(probeGuess=a["probeGuess"][..., None]),
        ["probeGuess: last axis moved to the front"],
    ),
    "patches": (
        lambda a: a.update(Y=np.ones((12, 16, 16, 1), "c8")),
        [
            "Y: axes of length 1 dropped, (12, 16, 16, 1) to (12, 16, 16)",
        ],
    ),
}


@pytest.mark.parametrize(("change", "conversions"), LEGACY.values(), ids=LEGACY)
def test_a_legacy_form_becomes_the_same_scan_with_its_conversion_recorded(
    arrays: Arrays, change: Any, conversions: list[str]
) -> None:
    canonical = accepted(conform(arrays))
    change(arrays)
    before = {key: array.copy() for key, array in arrays.items()}
    scan = accepted(conform(arrays))
    assert list(scan.metadata.conversions) == conversions
    for name in ("diffraction", "xcoords", "ycoords", "probe_guess", "object_guess", "scan_index"):
        ours, theirs = getattr(scan, name), getattr(canonical, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
        assert ours.flags.c_contiguous
    assert all(np.array_equal(arrays[key], before[key]) for key in before)


def test_several_conversions_are_recorded_in_order(arrays: Arrays, counts: Any) -> None:
    raw = np.moveaxis(np.fft.ifftshift(counts.astype(">u2"), axes=(1, 2)), 0, -1)
    del arrays["diffraction"]
    scan = accepted(conform({**arrays, "diff3d": raw[None]}))
    assert scan.metadata.conversions == (
        "diffraction: named diff3d in the file",
        "diffraction: axes of length 1 dropped, (1, 16, 16, 12) to (16, 16, 12)",
        "diffraction: last axis moved to the front",
        "diffraction: dtype >u2 to float32",
        "diffraction: counts to amplitude by the square root",
        "diffraction: DC moved from the corner to the centre (fftshift)",
    )
    np.testing.assert_array_equal(scan.diffraction, np.sqrt(counts).astype("f4"))


def test_large_uint16_counts_do_not_overflow(arrays: Arrays, counts: Any) -> None:
    arrays["diffraction"] = (counts * 250).astype("u2")
    assert accepted(conform(arrays)).diffraction.max() == pytest.approx(np.sqrt(counts.max() * 250))


def test_a_card_names_arrays_and_gives_the_physics(arrays: Arrays, counts: Any) -> None:
    positions = np.stack([arrays["ycoords"], arrays["xcoords"]], axis=1)
    foreign = {"data": counts, "scan": positions[None], "P": arrays["probeGuess"], "O": arrays["objectGuess"]}
    reading = {
        "diffraction": {"key": "data", "quantity": "counts", "dc": "centre"},
        "positions": {"key": "scan", "order": ["y", "x"], "unit": "px"},
        "probe": {"key": "P"},
        "object": {"key": "O", "role": "truth"},
    }
    energy = {"value": 8800, "assumed": True, "note": "a guess"}
    physics = {"photon_energy_eV": energy, "object_pixel_size_m": {"value": 5e-8}}
    outcome = conform(foreign, card(reading=reading, physics=physics))
    scan = accepted(outcome)
    assert outcome.violations == ()
    np.testing.assert_array_equal(scan.xcoords, arrays["xcoords"])
    np.testing.assert_array_equal(scan.ycoords, arrays["ycoords"])
    assert (scan.metadata.name, scan.metadata.licence, scan.metadata.object_role) == ("star", "CC0-1.0", "truth")
    assert scan.metadata.assumptions() == ("photon_energy_eV = 8800 is assumed: a guess",)
    assert scan.metadata.detector_distance_m is None
    assert "xcoords: column 1 of shape (12, 2)" in scan.metadata.conversions


def test_metres_become_pixels_of_the_size_the_card_gives(arrays: Arrays) -> None:
    metres = {key: arrays[key] * 2e-8 for key in ("xcoords", "ycoords")}
    reading = {"positions": {"unit": "m"}}
    pixel = {"object_pixel_size_m": {"value": 2e-8, "assumed": True}}
    scan = accepted(conform({**arrays, **metres}, card(reading=reading, physics=pixel)))
    np.testing.assert_allclose(scan.xcoords, arrays["xcoords"], rtol=1e-14)
    assert "ycoords: metres to pixels of 2e-08 m (assumed)" in scan.metadata.conversions
    [violation, *_] = conform({**arrays, **metres}, card(reading=reading), file_name="a.npz").violations
    assert "state object_pixel_size_m, or photon_energy_eV, " in str(violation)


OPEN = {
    "quantity": (
        lambda a: a.update(diffraction=a["diffraction"] * np.float32(1.37)),
        "diffraction",
        ("amplitude", "counts"),
    ),
    "dc": (lambda a: a.update(diffraction=np.full((12, 16, 16), 3, "u2")), "diffraction", ("centre", "corner")),
    "stack_axis": (
        lambda a: a.update({k: a[k][4:, 4:12, 4:12] if a[k].ndim == 3 else a[k][4:] for k in a if "G" not in k}),
        "diffraction",
        ("first", "last"),
    ),
}


@pytest.mark.parametrize("question", OPEN)
def test_two_possible_readings_are_asked_about_and_either_answer_is_taken(arrays: Arrays, question: str) -> None:
    for key in ("probeGuess", "objectGuess"):
        del arrays[key]
    change, section, readings = OPEN[question]
    change(arrays)
    [asked] = errors(conform(arrays, file_name="star.npz").violations)
    field = f"reading.{section}.{question}: {readings[0]} (or {readings[1]})"
    assert f"{readings[0]} or {readings[1]}" in asked.found
    assert asked.remedy == f"write {field} in star.npz.card.yaml"
    pixel = {"object_pixel_size_m": {"value": 1e-8}}
    answers = [
        accepted(conform(arrays, card(reading={section: {question: reading}}, physics=pixel))) for reading in readings
    ]
    same = [np.array_equal(getattr(answers[0], n), getattr(answers[1], n)) for n in ("diffraction", "xcoords")]
    assert not all(same) or question == "dc"  # a flat pattern is the same wherever its DC is


@pytest.mark.parametrize("stated", [None, "middle"])
def test_patterns_counted_by_the_middle_axis_come_first(arrays: Arrays, stated: str | None) -> None:
    moved = {**arrays, "diffraction": np.moveaxis(arrays["diffraction"], 0, 1)}
    reading = {"diffraction": {"stack_axis": stated}}
    scan = accepted(conform(moved, card(reading=reading) if stated else None))
    np.testing.assert_array_equal(scan.diffraction, accepted(conform(arrays)).diffraction)
    assert "diffraction: middle axis moved to the front" in scan.metadata.conversions


@pytest.mark.parametrize(
    ("section", "stated", "says"),
    [
        ("diffraction", {"stack_axis": "last"}, "last in the card and first in the values"),
        ("diffraction", {"key": "data"}, "wanted data"),
        ("probe", {"key": "probe"}, "probeGuess: found the arrays"),
        ("positions", {"key": "objectGuess", "order": ["y", "x"]}, "shape (40, 48), wanted shape (N, 2)"),
    ],
)
def test_a_card_that_the_file_contradicts_is_a_violation(
    arrays: Arrays, section: str, stated: dict[str, Any], says: str
) -> None:
    outcome = conform(arrays, card(reading={section: stated}))
    assert outcome.value is None
    assert says in "\n".join(map(str, outcome.violations))


@pytest.mark.parametrize(
    ("stated", "says", "conversion"),
    [
        ({"quantity": "counts"}, "counts in the card and amplitude in the values", "square root"),
        ({"dc": "corner"}, "corner in the card and centre in the values", "fftshift"),
    ],
)
def test_a_card_wins_over_the_values_and_hears_what_they_say(
    arrays: Arrays, stated: dict[str, str], says: str, conversion: str
) -> None:
    outcome = conform(arrays, card(reading={"diffraction": stated}))
    assert conversion in " ".join(accepted(outcome).metadata.conversions)
    [warning] = [v for v in outcome.violations if v.code.startswith("diffraction")]
    assert warning.severity == "warning"
    assert says in str(warning)


def test_warnings_do_not_reject(arrays: Arrays) -> None:
    arrays["scan_index"][:] = 0
    outcome = conform({**arrays, "dark": np.zeros((16, 16), bool)})
    assert {v.code for v in outcome.violations} == {"scan_index.repeated", "key.unknown", "physics.pixel_size"}
    accepted(outcome)


@pytest.fixture
def bad() -> NDArray[np.bool_]:
    """(16, 16), two bad pixels that no shift maps onto one another."""
    pixels = np.zeros((16, 16), bool)
    pixels[3, 9] = pixels[8, 2] = True
    return pixels


@pytest.mark.parametrize("dtype", ["bool", "u1", ">i4", "f8"])
def test_bad_pixels_are_kept_and_zeros_and_ones_become_truth(arrays: Arrays, bad: Any, dtype: str) -> None:
    arrays["diffraction"][:, bad] = 0
    scan = accepted(conform({**arrays, "bad_pixels": bad.astype(dtype)[None]}))
    assert scan.bad_pixels is not None
    assert scan.bad_pixels.dtype == bool
    np.testing.assert_array_equal(scan.bad_pixels, bad)
    cast = (f"bad_pixels: dtype {np.dtype(dtype)} to bool",) if dtype != "bool" else ()
    assert scan.metadata.conversions == ("bad_pixels: axes of length 1 dropped, (1, 16, 16) to (16, 16)", *cast)
    assert accepted(conform(arrays)).bad_pixels is None


@pytest.mark.parametrize("junk", [np.nan, np.inf, -1, 65535.0])
def test_what_a_pattern_holds_at_bad_pixels_tells_nothing(arrays: Arrays, bad: Any, junk: float) -> None:
    silent = np.where(bad, np.float32(0), arrays["diffraction"])
    arrays["diffraction"][:, bad] = junk
    before = arrays["diffraction"].copy()
    scan = accepted(conform({**arrays, "bad_pixels": bad}))
    np.testing.assert_array_equal(scan.diffraction, silent)
    np.testing.assert_array_equal(arrays["diffraction"], before)
    assert scan.metadata.conversions == ("diffraction: set to 0 at the 2 bad pixels",)


def test_bad_pixels_move_with_the_patterns(arrays: Arrays, bad: Any) -> None:
    centred = accepted(conform({**arrays, "bad_pixels": bad}))
    moved = {key: np.fft.ifftshift(a, axes=(-2, -1)) for key, a in {**arrays, "bad_pixels": bad}.items() if a.ndim > 1}
    scan = accepted(conform({**arrays, **moved, "objectGuess": arrays["objectGuess"]}))
    np.testing.assert_array_equal(scan.diffraction, centred.diffraction)
    np.testing.assert_array_equal(scan.bad_pixels, bad)
    assert "bad_pixels: DC moved from the corner to the centre (fftshift)" in scan.metadata.conversions


BAD_MASKS = {
    "every pixel": (np.ones((16, 16), "u1"), "bad_pixels.all_bad", "nothing but bad pixels"),
    "every pixel, as 255": (np.full((16, 16), 255, "u1"), "bad_pixels.all_bad", "nothing but bad pixels"),
    "halves": (np.full((16, 16), 0.5), "array.dtype", "dtype float64, wanted true or false values"),
    "other planes": (np.zeros((16, 15), bool), "dimension.mismatch", "W = 15, wanted W = 16 as in diffraction"),
    "one for each pattern": (np.arange(12 * 256).reshape(12, 16, 16) % 5 == 0, "array.rank", "wanted shape (H, W)"),
}


@pytest.mark.parametrize(("mask", "code", "says"), BAD_MASKS.values(), ids=BAD_MASKS)
def test_bad_pixels_that_make_no_sense_are_refused(arrays: Arrays, mask: Any, code: str, says: str) -> None:
    outcome = conform({**arrays, "bad_pixels": mask})
    assert outcome.value is None
    [violation] = outcome.violations
    assert violation.code == code
    assert says in str(violation)


@pytest.mark.parametrize("stack", ["first", "last"])
def test_patches_are_kept_and_move_with_the_patterns(arrays: Arrays, stack: str) -> None:
    patches = np.random.default_rng(3).normal(size=(12, 16, 16, 2)).view("c16")[..., 0]
    lying = {"diffraction": arrays["diffraction"], "Y": patches}
    if stack == "last":
        lying = {key: np.moveaxis(array, 0, -1) for key, array in lying.items()}
    scan = accepted(conform({**arrays, **lying}))
    assert scan.patches is not None
    assert scan.patches.dtype == np.complex64
    np.testing.assert_array_equal(scan.patches, patches.astype("c8"))
    np.testing.assert_array_equal(scan.diffraction, arrays["diffraction"])


def test_in_the_near_field_nothing_is_asked_about_dc_and_nothing_moved(arrays: Arrays) -> None:
    image = np.fft.ifftshift(arrays["diffraction"], axes=(1, 2))
    scan = accepted(conform({**arrays, "diffraction": image}, card(physics={"far_field": False})))
    assert not scan.metadata.far_field
    np.testing.assert_array_equal(scan.diffraction, image)
    flat = {**arrays, "diffraction": np.full((12, 16, 16), 3, "u2")}
    assert [v.code for v in errors(conform(flat, card()).violations)] == ["diffraction.dc"]
    assert accepted(conform(flat, card(physics={"far_field": False}))).metadata.conversions[-1].endswith("square root")


def test_the_far_field_gives_a_pixel_size_and_the_near_field_does_not(arrays: Arrays) -> None:
    metres = {key: arrays[key] * 2e-8 for key in ("xcoords", "ycoords")}
    physics = {"photon_energy_eV": {"value": 8000}, "detector_distance_m": {"value": 2}}
    physics |= {"detector_pixel_size_m": {"value": 1.239841984332e-6 / 8000 * 2 / (16 * 2e-8)}}
    reading = {"positions": {"unit": "m"}}
    far = accepted(conform({**arrays, **metres}, card(reading=reading, physics=physics)))
    np.testing.assert_allclose(far.xcoords, arrays["xcoords"], rtol=1e-9)
    near = conform({**arrays, **metres}, card(reading=reading, physics={**physics, "far_field": False}))
    assert "wanted the size of an object pixel" in str(near.violations[0])
