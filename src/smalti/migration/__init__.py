"""Bringing in what other systems keep: MLtrack, datamate and MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.lazy_names import lazy_names

if TYPE_CHECKING:
    from smalti.migration.migrating import Brought, MigrationReport, NotBrought, migrate, plan_migration
    from smalti.migration.plan import Plan
    from smalti.migration.recognition import KINDS

_HOME = {
    "KINDS": "smalti.migration.recognition",
    "Brought": "smalti.migration.migrating",
    "MigrationReport": "smalti.migration.migrating",
    "NotBrought": "smalti.migration.migrating",
    "Plan": "smalti.migration.plan",
    "migrate": "smalti.migration.migrating",
    "plan_migration": "smalti.migration.migrating",
}

__all__ = ["KINDS", "Brought", "MigrationReport", "NotBrought", "Plan", "migrate", "plan_migration"]

__getattr__ = lazy_names(__name__, _HOME)
