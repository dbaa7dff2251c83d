"""What a scan file means: its card, what its values say, its canonical form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.lazy_names import lazy_names

if TYPE_CHECKING:
    from smalti.scans.card import Card as Card
    from smalti.scans.card import card_path as card_path
    from smalti.scans.card import read_card as read_card
    from smalti.scans.conversion import conform as conform
    from smalti.scans.read import read_scan as read_scan
    from smalti.scans.read import validate_scan as validate_scan
    from smalti.scans.shipped import card_for as card_for

# Where each name lives; imported when first used, so that one reader in a fresh process loads little.
_HOME = {
    "Card": "smalti.scans.card",
    "card_for": "smalti.scans.shipped",
    "card_path": "smalti.scans.card",
    "conform": "smalti.scans.conversion",
    "validate_scan": "smalti.scans.read",
    "read_card": "smalti.scans.card",
    "read_scan": "smalti.scans.read",
}

__getattr__ = lazy_names(__name__, _HOME)
