"""The check ``explains_the_scan`` passes what explains the patterns and stops what does not."""

import dagster as dg
import pytest

from assets.reconstructions import explains_the_scan, reconstruction


@pytest.mark.parametrize(
    ("r_factor", "passed"), [(0.07, True), (0.499, True), (0.5, False), (0.93, False), (float("nan"), False)]
)
def test_an_r_factor_of_a_half_or_none_at_all_fails(r_factor: float, passed: bool) -> None:
    result = explains_the_scan("run7", r_factor)
    assert result.passed is passed
    assert result.severity is dg.AssetCheckSeverity.ERROR
    assert result.metadata["r_factor"].value == pytest.approx(r_factor, nan_ok=True)


def test_it_says_of_which_scan_it_speaks() -> None:
    assert explains_the_scan("run7", 0.5).description == "run7: the R-factor is 0.5, not below 0.5"


def test_a_failed_check_stops_what_comes_after() -> None:
    assert [spec.blocking for spec in reconstruction.check_specs] == [True]
