"""The check ``explains_the_scan`` passes what explains the patterns and stops what does not."""

import dagster as dg
import numpy as np
import pytest

from assets.checks import explains_the_scan
from smalti import Reconstruction


def reconstruction(r_factor: float) -> Reconstruction:
    return Reconstruction(
        object=np.ones((20, 20), np.complex64),
        probe=np.ones((1, 8, 8), np.complex64),
        xcoords=np.full(1, 9.5),
        ycoords=np.full(1, 9.5),
        origin_x=0.0,
        origin_y=0.0,
        loss=np.ones(1),
        metrics={"r_factor": r_factor},
        config={},
    )


@pytest.mark.parametrize(
    ("r_factor", "passed"), [(0.07, True), (0.499, True), (0.5, False), (0.93, False), (float("nan"), False)]
)
def test_an_r_factor_of_a_half_or_none_at_all_fails(r_factor: float, passed: bool) -> None:
    result = explains_the_scan(reconstruction(r_factor))
    assert isinstance(result, dg.AssetCheckResult)
    assert result.passed is passed
    assert result.severity is dg.AssetCheckSeverity.ERROR
    assert result.metadata["r_factor"].value == pytest.approx(r_factor, nan_ok=True)


def test_a_failed_check_stops_what_comes_after() -> None:
    assert next(iter(explains_the_scan.check_specs)).blocking
