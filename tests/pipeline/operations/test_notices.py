"""Laws of what Dagster says of its own parts: it is hidden, and nothing else is."""

import warnings

import dagster as dg

from dagster_smalti.notices import hide_stability_notices


def test_only_what_dagster_says_of_its_own_parts_is_hidden() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        hide_stability_notices()
        for category in (dg.PreviewWarning, dg.BetaWarning, DeprecationWarning, UserWarning):
            warnings.warn("said", category, stacklevel=1)
    assert [warning.category for warning in shown] == [DeprecationWarning, UserWarning]
