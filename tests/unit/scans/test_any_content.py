"""Whatever arrays a file holds, conversion ends in a scan or in violations, never in an exception."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from smalti.codecs.scan import Scan
from smalti.contracts.violation import errors
from smalti.scans import Card, conform

NUMBERS = st.sampled_from(["f4", "f8", "f2", "u1", "u2", ">u4", "u8", "i1", "i2", "i4", "i8", "?", "c8"])
LENGTHS = st.sampled_from([1, 2, 3, 4, 4, 4])
KEYS = ["diffraction", "xcoords", "ycoords", "probeGuess", "objectGuess", "bad_pixels", "mask", "fmask", "pixel_mask",
        "scan_index", "Y", "positions_if_probe_moved", "motors", "photon_energy_eV", "detector_distance_m"]  # fmt: skip
CARD = {"name": "a", "source": "b", "version": "1", "licence": "d"}


def content() -> st.SearchStrategy[dict[str, Any]]:
    shapes = st.lists(LENGTHS, max_size=4).map(tuple) | st.sampled_from([(4,), (4, 4, 4), (4, 2), (4, 4), (4, 1)])
    array = st.tuples(NUMBERS, shapes).flatmap(lambda made: arrays_of.arrays(made[0], made[1]))
    return st.dictionaries(st.sampled_from(KEYS), array, min_size=3)


CARDS = st.sampled_from(
    [
        None,
        {"reading": {"positions": {"unit": "um"}}, "physics": {"object_pixel_size_m": {"value": 1e-8}}},
        {"reading": {"positions": {"key": "motors", "order": ["y", "x"]}}},
        {"reading": {"diffraction": {"codes": "bad", "dc": "corner"}, "mask": {"convention": "true_is_good"}}},
        {"reading": {"diffraction": {"codes": "signal"}, "mask": {"key": "mask"}}, "physics": {"far_field": False}},
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(content(), CARDS)
def test_any_arrays_end_in_a_scan_or_in_violations(arrays: dict[str, Any], said: dict[str, Any] | None) -> None:
    before = {key: array.copy() for key, array in arrays.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numbers of any size overflow
        result = conform(arrays, Card.model_validate({**CARD, **said}) if said else None)
    assert isinstance(result.value, Scan) != bool(errors(result.violations))
    assert all("\n" not in str(violation) for violation in result.violations)
    assert all(array.tobytes() == before[key].tobytes() for key, array in arrays.items())


@settings(max_examples=60, deadline=None)
@given(
    arrays_of.arrays(
        st.sampled_from(["f4", "u2", "i4"]), st.sampled_from([(4, 4, 4), (1, 4, 4), (5, 1, 1), (2, 3, 3)])
    ),
    arrays_of.arrays(st.sampled_from(["?", "u1", "i4", "f8"]), st.sampled_from([(4, 4), (1, 1), (3, 3), (4, 4, 4)])),
    st.data(),
)
def test_any_patterns_with_any_mask_end_in_a_scan_or_in_violations(patterns: Any, mask: Any, data: Any) -> None:
    positions = data.draw(arrays_of.arrays("f8", len(patterns)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result = conform({"diffraction": patterns, "xcoords": positions, "ycoords": positions * 2, "bad_pixels": mask})
    assert isinstance(result.value, Scan) != bool(errors(result.violations))
    if result.value is not None:
        assert np.isfinite(result.value.diffraction).all()
        assert (result.value.diffraction >= 0).all()
