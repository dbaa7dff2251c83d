"""What a card says of a table's columns has to be true of the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from smalti.ingest.validate import validate_file

CARD = "name: t\nsource: here\nversion: '1'\nlicence: CC0-1.0\ntable: {%s}\n"


@pytest.mark.parametrize("role", ["target", "id"])
def test_a_card_may_only_name_columns_that_are_there(tmp_path: Path, role: str) -> None:
    file = tmp_path / "t.csv"
    file.write_text("a,b\n1,x\n2,y\n")
    (tmp_path / "t.csv.card.yaml").write_text(CARD % f"{role}: b")
    assert validate_file(file).accepted

    (tmp_path / "t.csv.card.yaml").write_text(CARD % f"{role}: c")
    assert [str(violation) for violation in validate_file(file).violations] == [
        f"table.{role}: found no column 'c', which the card calls the {role}, wanted one of a, b; "
        "correct the name in the card."
    ]
