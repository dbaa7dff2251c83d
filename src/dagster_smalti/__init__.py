"""What Dagster's own processes load beside the project: the launcher of runs, named by ``dagster.yaml``."""
