"""Which card a file gets: the one beside it, the shipped one for its bytes, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from smalti.errors import ContractBroken, NotFound
from smalti.scans.shipped import card_for, shipped_cards

BESIDE = "name: mine\nsource: here\nversion: '1'\nlicence: CC0-1.0\n"


def test_the_star_is_known_by_its_bytes(star_path: Path) -> None:
    card = card_for(star_path)
    assert card is not None
    assert card.name == "siemens-star-small"
    assert card.reading.diffraction.model_dump() == {
        "key": "data",
        "quantity": "counts",
        "dc": "corner",
        "stack_axis": "first",
        "codes": None,
    }


def test_the_star_is_known_under_any_name_and_the_card_beside_it_wins(star_path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "renamed.npz"
    copy.write_bytes(star_path.read_bytes())
    assert getattr(card_for(copy), "name", None) == "siemens-star-small"
    (tmp_path / "renamed.npz.card.yaml").write_text(BESIDE)
    assert getattr(card_for(copy), "name", None) == "mine"


def test_unknown_bytes_have_no_card(tmp_path: Path) -> None:
    path = tmp_path / "scan.npz"
    path.write_bytes(b"anything")
    assert card_for(path) is None


def test_a_broken_card_beside_a_file_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "scan.npz"
    path.write_bytes(b"anything")
    path.with_name("scan.npz.card.yaml").write_text("name: mine\n")
    with pytest.raises(ContractBroken, match=r"scan\.npz\.card\.yaml: licence: found nothing"):
        card_for(path)


def test_no_file_has_no_card_to_look_for(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        card_for(tmp_path / "none.npz")


def test_every_shipped_card_is_valid_and_bound_to_bytes() -> None:
    assert [card.name for card in shipped_cards()] == ["siemens-star-small"]
    assert all(card.sha256 for card in shipped_cards())
    assert all(
        stated.assumed and "nothing in the file supports it" in stated.note
        for card in shipped_cards()
        for stated in card.physics.stated().values()
    )
