"""What kind a file is: its content and its card say so, and between two that fit nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.contracts import TABLE, Violation
from smalti.errors import Refused
from smalti.ingest.kinds import OURS, Kind, Outline, claimed_kind, kind_named, kinds, recognise_kind

_NAMES = st.frozensets(
    st.sampled_from(["diffraction", "xcoords", "probe", "object", "probe_position_x_m", "probe_position_y_m", "w.0"])
)
_FORMS = st.sampled_from([None, "zip", "npy", "hdf5", "safetensors", "csv", "parquet", "arrow"])


@given(_FORMS, _NAMES)
def test_exactly_one_of_the_built_in_kinds_fits_any_file(form: str | None, names: frozenset[str]) -> None:
    outline = Outline(form, names)  # type: ignore[arg-type]
    assert len([kind for kind in OURS if kind.fits(outline)]) == 1
    assert isinstance(recognise_kind(outline, None, OURS, "a.card.yaml"), Kind)


@pytest.mark.parametrize(
    ("outline", "kind"),
    [
        (Outline("zip", frozenset({"diffraction", "xcoords", "ycoords"})), "scan"),
        (Outline("hdf5", frozenset({"entry_1/data_1/data"})), "scan"),
        (Outline("safetensors", frozenset({"diff3d", "xcoords"})), "scan"),
        (Outline("safetensors", frozenset({"layers.0.weight"})), "checkpoint"),
        (Outline("csv"), "table"),
        (Outline("arrow stream"), "table"),
        (
            Outline("hdf5", frozenset({"probe", "object", "probe_position_x_m", "probe_position_y_m", "raw_data/x"})),
            "product",
        ),
        (Outline(None), "file"),
    ],
)
def test_a_file_is_what_its_content_says(outline: Outline, kind: str) -> None:
    found = recognise_kind(outline, None, OURS, "a.card.yaml")
    assert isinstance(found, Kind)
    assert found.name == kind


def test_a_card_decides_and_one_that_names_no_kind_is_told_which_there_are() -> None:
    outline = Outline("hdf5", frozenset({"probe", "object", "probe_position_x_m", "probe_position_y_m"}))
    found = recognise_kind(outline, "scan", OURS, "a.card.yaml")
    assert isinstance(found, Kind)
    assert found.name == "scan"
    violation = recognise_kind(outline, "scam", OURS, "a.card.yaml")
    assert isinstance(violation, Violation)
    assert str(violation) == (
        "kind: found 'scam', wanted one of scan, table, checkpoint, product, file; correct kind in a.card.yaml."
    )


def test_between_two_that_fit_the_card_is_asked_and_a_declared_kind_goes_before_a_built_in_one() -> None:
    one, two = (Kind(name, "", TABLE, lambda outline: outline.is_table, name) for name in ("log", "sheet"))
    assert recognise_kind(Outline("csv"), None, [*OURS, one], "a.card.yaml") is one
    violation = recognise_kind(Outline("csv"), None, [*OURS, one, two], "a.card.yaml")
    assert isinstance(violation, Violation)
    assert (violation.code, violation.found) == ("file.kind", "a file that could be log or sheet")
    assert violation.remedy == "write kind: log in a.card.yaml"


@pytest.mark.parametrize(
    ("filename", "kind"),
    [("a.npz", "scan"), ("a.CSV.gz", "table"), ("a.safetensors", "checkpoint"), ("a.pdf", "file"), ("a", "file")],
)
def test_a_file_that_cannot_be_read_is_of_the_kind_that_its_name_claims(filename: str, kind: str) -> None:
    assert claimed_kind(filename).name == kind


def test_a_kind_of_yours_is_known_once_its_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from smalti.contracts import TABLE\nfrom smalti.ingest.kinds import Kind\n"
        "LOG = Kind('log', 'A log.', TABLE, lambda outline: outline.is_table, 'log')\n"
    )
    monkeypatch.setenv("SMALTI_CONTRACTS", str(mine))
    assert [kind.name for kind in kinds()] == [*(kind.name for kind in OURS), "log"]
    assert kind_named("log").raw == "raw_log"
    other = tmp_path / "other.py"
    other.write_text(mine.read_text().replace("'log', 'A", "'scan', 'A"))
    monkeypatch.setenv("SMALTI_CONTRACTS", str(other))
    with pytest.raises(Refused, match="called scan already"):
        kinds()
    with pytest.raises(Refused):
        kind_named("logg")
