"""What a Dagster instance loads of Smalti by name: the run launcher of one machine."""
