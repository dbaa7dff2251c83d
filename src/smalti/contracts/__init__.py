"""What arrives, and what it must be: contracts as data, cards beside files, and reading a scan by both."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smalti.contracts.any_contract import AnyContract as AnyContract
    from smalti.contracts.archive import Limits as Limits
    from smalti.contracts.arrays import ArraySpec as ArraySpec
    from smalti.contracts.card import Card as Card
    from smalti.contracts.card import card_path as card_path
    from smalti.contracts.card import read_card as read_card
    from smalti.contracts.checkpoint import CHECKPOINT as CHECKPOINT
    from smalti.contracts.columns import ColumnSpec as ColumnSpec
    from smalti.contracts.contract import Contract as Contract
    from smalti.contracts.conversion import Outcome as Outcome
    from smalti.contracts.fields import FieldSpec as FieldSpec
    from smalti.contracts.passing import passed as passed
    from smalti.contracts.product import PRODUCT as PRODUCT
    from smalti.contracts.reading import conform as conform
    from smalti.contracts.reading import examine as examine
    from smalti.contracts.reading import read_arrays as read_arrays
    from smalti.contracts.reading import read_scan as read_scan
    from smalti.contracts.registry import contract_named as contract_named
    from smalti.contracts.registry import contracts as contracts
    from smalti.contracts.rules import Monotonic as Monotonic
    from smalti.contracts.rules import Rule as Rule
    from smalti.contracts.rules import Square as Square
    from smalti.contracts.rules import Unique as Unique
    from smalti.contracts.rules import Within as Within
    from smalti.contracts.scan import SCAN as SCAN
    from smalti.contracts.scan import ScanContract as ScanContract
    from smalti.contracts.table import TABLE as TABLE
    from smalti.contracts.table import TableContract as TableContract
    from smalti.contracts.violation import Violation as Violation

# Where each name lives; imported when first used, so that one reader in a fresh process loads little.
_HOME = {
    "AnyContract": "smalti.contracts.any_contract",
    "Limits": "smalti.contracts.archive",
    "ArraySpec": "smalti.contracts.arrays",
    "Card": "smalti.contracts.card",
    "card_path": "smalti.contracts.card",
    "read_card": "smalti.contracts.card",
    "CHECKPOINT": "smalti.contracts.checkpoint",
    "ColumnSpec": "smalti.contracts.columns",
    "Contract": "smalti.contracts.contract",
    "Outcome": "smalti.contracts.conversion",
    "FieldSpec": "smalti.contracts.fields",
    "passed": "smalti.contracts.passing",
    "PRODUCT": "smalti.contracts.product",
    "conform": "smalti.contracts.reading",
    "examine": "smalti.contracts.reading",
    "read_arrays": "smalti.contracts.reading",
    "read_scan": "smalti.contracts.reading",
    "contract_named": "smalti.contracts.registry",
    "contracts": "smalti.contracts.registry",
    "Monotonic": "smalti.contracts.rules",
    "Rule": "smalti.contracts.rules",
    "Square": "smalti.contracts.rules",
    "Unique": "smalti.contracts.rules",
    "Within": "smalti.contracts.rules",
    "SCAN": "smalti.contracts.scan",
    "ScanContract": "smalti.contracts.scan",
    "TABLE": "smalti.contracts.table",
    "TableContract": "smalti.contracts.table",
    "Violation": "smalti.contracts.violation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
