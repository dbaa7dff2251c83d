"""Amounts as metadata that Dagster plots: in one unit, which the label names, to three significant digits."""

from datetime import UTC, datetime

import dagster as dg


def gigabytes(nbytes: int) -> float:
    """Return bytes in GB (1e9), to three significant digits.

    >>> gigabytes(1_234_567_890), gigabytes(4096)
    (1.23, 4.1e-06)
    """
    return rounded(nbytes / 1e9)


def rounded(value: float) -> float:
    """Return a number to three significant digits."""
    return float(f"{value:.3g}")


def moment(at: str) -> dg.MetadataValue[float]:
    """Return a time, ISO 8601, as the UI shows it in the zone of whoever looks."""
    return dg.MetadataValue.timestamp(datetime.fromisoformat(at))


def days_since(at: str) -> float:
    """Return how many days ago a time was, ISO 8601."""
    return rounded((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds() / 86400)
