"""What must hold, as data: contracts on scans, tables, products and checkpoints, and what breaks them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.lazy_names import lazy_names

if TYPE_CHECKING:
    from smalti.contracts.arrays import ArraySpec as ArraySpec
    from smalti.contracts.base import AnyContract as AnyContract
    from smalti.contracts.builtin.checkpoint import CHECKPOINT as CHECKPOINT
    from smalti.contracts.builtin.product import PRODUCT as PRODUCT
    from smalti.contracts.builtin.scan import SCAN as SCAN
    from smalti.contracts.builtin.scan import ScanContract as ScanContract
    from smalti.contracts.contract import Contract as Contract
    from smalti.contracts.fields import FieldSpec as FieldSpec
    from smalti.contracts.registry import contract_named as contract_named
    from smalti.contracts.registry import contracts as contracts
    from smalti.contracts.result import ValidationResult as ValidationResult
    from smalti.contracts.rules import Monotonic as Monotonic
    from smalti.contracts.rules import Rule as Rule
    from smalti.contracts.rules import Square as Square
    from smalti.contracts.rules import Unique as Unique
    from smalti.contracts.rules import Within as Within
    from smalti.contracts.tables.columns import ColumnSpec as ColumnSpec
    from smalti.contracts.tables.table import TABLE as TABLE
    from smalti.contracts.tables.table import TableContract as TableContract
    from smalti.contracts.validation import validated as validated
    from smalti.contracts.violation import Violation as Violation

# Where each name lives; imported when first used, so that one reader in a fresh process loads little.
_HOME = {
    "AnyContract": "smalti.contracts.base",
    "ArraySpec": "smalti.contracts.arrays",
    "CHECKPOINT": "smalti.contracts.builtin.checkpoint",
    "ColumnSpec": "smalti.contracts.tables.columns",
    "Contract": "smalti.contracts.contract",
    "FieldSpec": "smalti.contracts.fields",
    "Monotonic": "smalti.contracts.rules",
    "PRODUCT": "smalti.contracts.builtin.product",
    "Rule": "smalti.contracts.rules",
    "SCAN": "smalti.contracts.builtin.scan",
    "ScanContract": "smalti.contracts.builtin.scan",
    "Square": "smalti.contracts.rules",
    "TABLE": "smalti.contracts.tables.table",
    "TableContract": "smalti.contracts.tables.table",
    "Unique": "smalti.contracts.rules",
    "ValidationResult": "smalti.contracts.result",
    "Violation": "smalti.contracts.violation",
    "Within": "smalti.contracts.rules",
    "contract_named": "smalti.contracts.registry",
    "contracts": "smalti.contracts.registry",
    "validated": "smalti.contracts.validation",
}

__getattr__ = lazy_names(__name__, _HOME)
