"""The card of a file: the one beside it, else the one shipped for exactly these bytes."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path

from smalti.errors import NotFound
from smalti.formats.regular_file import sha256_of
from smalti.scans.card import SUFFIX, Card, card_path, parse_card, read_card


def card_for(path: Path) -> Card | None:
    """Return the card that describes ``path``, or None.

    ``<file>.card.yaml`` beside the file wins; else a shipped card whose SHA-256 is the file's.

    Raises:
        NotFound: there is no such file.
        ContractBroken: the card beside the file is not a valid card, or ``path`` is not a regular file.
    """
    with suppress(NotFound):
        return read_card(card_path(path))
    digest = sha256_of(path)
    return next((card for card in shipped_cards() if card.sha256 == digest), None)


@cache
def shipped_cards() -> tuple[Card, ...]:
    """Return the cards that come with the package, by file name."""
    folder = files("smalti.scans") / "cards"
    found = sorted((f for f in folder.iterdir() if f.name.endswith(SUFFIX)), key=lambda f: f.name)
    return tuple(parse_card(f.read_bytes(), f.name) for f in found)
