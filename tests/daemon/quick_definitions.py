"""The project's definitions with quick results in place of training and solving; all else is the real thing."""

import dagster as dg

import definitions
from tests.daemon.quick_compute import QuickCompute

# Dagster refuses a file with two of them at the top: not `from definitions import defs`.
defs = dg.Definitions(
    assets=definitions.defs.assets,
    asset_checks=definitions.defs.asset_checks,
    jobs=definitions.defs.jobs,
    schedules=definitions.defs.schedules,
    sensors=definitions.defs.sensors,
    resources={**definitions.defs.resources, "compute": QuickCompute(store=definitions.defs.resources["store"])},
    loggers=definitions.defs.loggers,
    executor=definitions.defs.executor,
)
