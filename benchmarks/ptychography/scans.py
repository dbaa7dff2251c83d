"""The scans of the benchmark: three simulated, where the truth is known, and one that was measured."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from smalti import Scan
from smalti.errors import NotFound
from smalti.simulation import probe_of, simulate_star

WRONG_DEFOCUS = 1.15
MEASURED_FILE = "siemens-star-small.npz.bz2"
_SHARED = Path(__file__).parents[3] / "shared" / "data"


def known() -> Scan:
    """Return the simulated star; its probe guess is exact."""
    return simulate_star("star")


def defocused() -> Scan:
    """Return the same with a probe guess of 15 % too much defocus."""
    star = known()
    return replace(star, probe_guess=probe_of(star.diffraction.shape[-1], defocus=WRONG_DEFOCUS)[None])


def unknown() -> Scan:
    """Return the same without a probe guess."""
    return replace(known(), probe_guess=None)


def measured() -> Scan:
    """Return the Siemens star of the Advanced Photon Source: 516 patterns of 128 x 128.

    Raises:
        NotFound: its file is not where ``SMALTI_TEST_DATA`` says.
    """
    from smalti.scans import read_scan
    from smalti.scans.shipped import card_for

    path = Path(os.environ.get("SMALTI_TEST_DATA", _SHARED)) / MEASURED_FILE
    if not path.is_file():
        raise NotFound(f"there is no {path}; set SMALTI_TEST_DATA to the folder that holds {MEASURED_FILE}.")
    return read_scan(path, card_for(path))


SCANS = {make.__name__: make for make in (known, defocused, unknown, measured)}
