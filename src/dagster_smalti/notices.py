"""What Dagster says of its own parts on every start, said no more."""

import warnings

import dagster as dg


def hide_stability_notices() -> None:
    """Hide that a part of Dagster is a preview or beta: the version is pinned, and the tests tell when one changes.

    Every other warning is shown as before, those of Smalti too.
    """
    for category in (dg.PreviewWarning, dg.BetaWarning):
        warnings.filterwarnings("ignore", category=category)
