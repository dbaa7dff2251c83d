"""The scan contract on arrays alone: what breaks it, by name, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalti.contracts import SCAN, Contract, Violation
from smalti.contracts.violation import shown

Arrays = dict[str, Any]


def _put(key: str, index: Any, value: float) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[key][index] = value

    return change


def _set(key: str, value: Any) -> Callable[[Arrays], None]:
    return lambda arrays: arrays.update({key: value})


def _oblong(arrays: Arrays) -> None:
    arrays["diffraction"] = np.ones((12, 16, 8), "f4")
    del arrays["probeGuess"]


BREACHES: list[tuple[str, Callable[[Arrays], Any], str, str]] = [
    ("no patterns", lambda a: a.pop("diffraction"), "key.missing", "diffraction: found the arrays probeGuess"),
    ("no rows", lambda a: a.pop("ycoords"), "key.missing", "wanted ycoords"),
    ("both spellings", _set("diff3d", np.ones((12, 16, 16), "f4")), "key.duplicate", "both diffraction and diff3d"),
    ("integers", _set("diffraction", np.ones((12, 16, 16), "u2")), "array.dtype", "dtype uint16"),
    ("real probe", _set("probeGuess", np.ones((16, 16))), "array.dtype", "probeGuess: found dtype float64"),
    ("text index", _set("scan_index", np.array(["a"] * 12)), "array.dtype", "wanted integer values"),
    ("one pattern, 2-D", _set("diffraction", np.ones((16, 16), "f4")), "array.rank", "wanted shape (N, H, W)"),
    ("3-D positions", _set("xcoords", np.ones((12, 3))), "array.rank", "shape (12, 3), wanted shape (N)"),
    ("no modes", _set("probeGuess", np.ones((0, 16, 16), "c8")), "array.empty", "shape (0, 16, 16)"),
    ("NaN", _put("diffraction", (3, 4, 5), np.nan), "array.not_finite", "1 of 3072 values (first at [3, 4, 5])"),
    ("infinity", _put("ycoords", 7, np.inf), "array.not_finite", "ycoords: found 1 of 12 values (first at [7])"),
    ("complex NaN", _put("probeGuess", (0, 1), np.nan), "array.not_finite", "probeGuess"),
    ("negative", _put("diffraction", (0, 0, 1), -2), "array.below_minimum", "the least being -2"),
    ("dark", _set("diffraction", np.zeros((12, 16, 16), "f4")), "array.all_zero", "nothing but zeros"),
    ("dark probe", _set("probeGuess", np.zeros((16, 16), "c8")), "array.all_zero", "probeGuess"),
    ("short positions", _set("xcoords", np.ones(11)), "dimension.mismatch", "N = 11, wanted N = 12 as in diffraction"),
    ("short index", _set("scan_index", np.arange(5)), "dimension.mismatch", "scan_index: found N = 5"),
    (
        "small probe",
        _set("probeGuess", np.ones((8, 8), "c8")),
        "dimension.mismatch",
        "H = 8, W = 8, wanted H = 16 as in",
    ),
    ("large patches", _set("Y", np.ones((12, 16, 32), "c8")), "dimension.mismatch", "Y: found W = 32"),
    ("oblong", _oblong, "diffraction.not_square", "planes of 16 x 8"),
    ("left of object", _put("xcoords", 0, 6.4), "positions.outside_object", "from pixel -1.1 to"),
    ("below object", _put("ycoords", 0, 32.6), "positions.outside_object", "to 40.1, wanted 0 to 39"),
    ("still", lambda a: [a[k].fill(20) for k in ("xcoords", "ycoords")], "positions.degenerate", "12 equal positions"),
    ("renumbered", _put("scan_index", 3, 2), "scan_index.repeated", "1 of 12 values that repeat"),
    ("extra", _set("bad\npixels", np.ones(3)), "key.unknown", r"the arrays bad\npixels"),
]


def test_a_canonical_scan_keeps_the_contract(arrays: Arrays) -> None:
    assert SCAN.check(arrays) == ()


@pytest.mark.parametrize(("change", "code", "says"), [b[1:] for b in BREACHES], ids=[b[0] for b in BREACHES])
def test_each_breach_alone_is_one_violation_on_one_line(
    arrays: Arrays, change: Callable[[Arrays], Any], code: str, says: str
) -> None:
    change(arrays)
    [violation] = SCAN.check(arrays)
    assert violation.code == code
    assert says in str(violation)
    warning = code in ("positions.degenerate", "scan_index.repeated", "key.unknown")
    assert violation.severity == ("warning" if warning else "error")
    assert "\n" not in str(violation)


def test_every_breach_is_reported_at_once(arrays: Arrays) -> None:
    arrays["xcoords"] = arrays["xcoords"][:5]
    arrays["diffraction"][0, 0, 0] = np.nan
    del arrays["ycoords"]
    codes = {violation.code for violation in SCAN.check(arrays)}
    assert codes == {"key.missing", "array.not_finite", "dimension.mismatch"}


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.update(diff3d=a.pop("diffraction")),
        lambda a: a.update(diff3d=a["diffraction"].copy()),
        lambda a: a.update(probeGuess=np.ones((3, 16, 16), "c16")),
        lambda a: a.update(diffraction=a["diffraction"].astype(">f8")),
        lambda a: [a.pop(k) for k in ("probeGuess", "objectGuess", "scan_index")],
        lambda a: a.update(xcoords=a["xcoords"] - 1.4),  # 1 px of slack, and a bit inside
    ],
)
def test_legal_variants_keep_the_contract(arrays: Arrays, change: Callable[[Arrays], Any]) -> None:
    arrays["xcoords"][:] = np.linspace(8, 39, 12)
    change(arrays)
    assert SCAN.check(arrays) == ()


def test_positions_are_measured_from_the_centre_of_the_first_pixel(arrays: Arrays) -> None:
    arrays["objectGuess"] = np.ones((16, 16), np.complex64)
    for key in ("xcoords", "ycoords"):
        arrays[key] = np.full(12, 7.5)  # a 16-pixel probe exactly on a 16-pixel object
    assert [v.code for v in SCAN.check(arrays)] == ["positions.degenerate"]
    arrays["xcoords"][0] = 8.6
    assert [v.code for v in SCAN.check(arrays)] == ["positions.outside_object"]


@given(hnp.arrays(st.sampled_from(["f4", "i2", "c8", "U3"]), hnp.array_shapes(min_dims=0, max_dims=4, max_side=3)))
def test_checking_never_raises_and_never_changes(array: Any) -> None:
    before = array.copy()
    violations = SCAN.check({spec.key: array for spec in SCAN.arrays})
    assert all(isinstance(violation, Violation) for violation in violations)
    assert np.array_equal(array, before, equal_nan=array.dtype.kind in "fc")


def test_a_contract_is_data_and_prints_itself() -> None:
    page = SCAN.describe()
    assert page.startswith("# Contract scan/3\n")
    assert all(f"| `{spec.key}` |" in page for spec in SCAN.arrays)
    assert "`diff3d`" in page
    assert all(rule.sentence() in page for rule in SCAN.rules)
    dumped = SCAN.model_dump(mode="json")
    assert dumped["rules"][1]["slack_px"] == 1
    assert Contract.model_validate({**dumped, "rules": ()}).arrays == SCAN.arrays


def test_a_shown_name_is_one_short_printable_line() -> None:
    assert shown("Zürich 1.npz") == "Zürich 1.npz"
    assert shown("a\n\x1b[31m\u202eb") == r"a\n\x1b[31m\u202eb"
    long = shown("/folder/" + "x" * 300 + "/scan.npz")
    assert (len(long), long[:8], long[-9:]) == (80, "/folder/", "/scan.npz")
