"""Units are understood in every spelling that files have, and never where two units could be meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.formats.hdf5.units import JOULES_PER_EV, Quantity, factor_of

SPELLINGS: dict[tuple[Quantity, float], list[str]] = {
    ("length", 1.0): ["m", "meter", "meters", "metre", "metres", "Meters", "METRE", "[m]", " m "],
    ("length", 1e-2): ["cm", "centimetre"],
    ("length", 1e-3): ["mm", "millimeter", "millimetres"],
    ("length", 1e-6): [
        "\u03bcm", "\u00b5m", "um", "UM", "micron", "microns", "Micron", "micrometer", "micrometers", "micrometre",
        "micrometres", "(um)",
    ],
    ("length", 1e-9): ["nm", "NM", "nanometer", "nanometres"],
    ("length", 1e-10): ["angstrom", "Angstroms", "\u212b", "\u00c5", "A\u030a", "A", "ångström"],
    ("energy", 1.0): ["eV", "ev", "EV", "electronvolt", "electronvolts", "electron volts"],
    ("energy", 1e3): ["keV", "kev", "KeV", "KEV"],
    ("energy", 1 / JOULES_PER_EV): ["J", "j", "joule", "Joules"],
    ("time", 1.0): ["s", "S", "sec", "second", "seconds"],
    ("time", 1e-3): ["ms", "milliseconds"],
    ("time", 1e-6): ["us", "\u00b5s", "microseconds"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "factor", "said"), [(q, f, said) for (q, f), spellings in SPELLINGS.items() for said in spellings]
)
def test_every_common_spelling_is_understood(quantity: Quantity, factor: float, said: str) -> None:
    assert factor_of(said, quantity) == pytest.approx(factor, rel=1e-15)


@pytest.mark.parametrize("said", ["Mm", "MM", "mM", "M", "PM", "pM", "furlong", "px", "eV", "s", "", "m m", "1/m"])
def test_what_may_be_another_unit_or_is_no_length_is_not_one(said: str) -> None:
    assert factor_of(said, "length") is None


@pytest.mark.parametrize(("said", "factor"), [("meV", 1e-3), ("MeV", 1e6), ("mev", None), ("MEV", None)])
def test_milli_and_mega_are_told_apart_by_their_case_alone(said: str, factor: float | None) -> None:
    assert factor_of(said, "energy") == factor


@given(st.text(max_size=20))
def test_any_text_has_a_positive_factor_or_none(said: str) -> None:
    for quantity in ("length", "energy", "time"):
        factor = factor_of(said, quantity)
        assert factor is None or factor > 0
