"""What exists, in the order it comes to be: raw, scans, splits, checkpoints, reconstructions, products."""

from dagster_smalti.notices import hide_stability_notices

hide_stability_notices()  # before any module of this package says what Dagster would comment on
