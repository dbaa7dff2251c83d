"""Contracts by name: ours, those of one file of yours, and what is said of names and files that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smalti.contracts import PRODUCT, SCAN, ScanContract, contract_named, contracts
from smalti.contracts.registry import OURS
from smalti.errors import NotFound, Refused
from smalti.ingest.validate import validate_content

YOURS = """
from __future__ import annotations
from collections.abc import Iterator, Mapping
from typing import Any
from smalti.contracts import SCAN, ColumnSpec, Contract, FieldSpec, Rule, TableContract, Violation

class EnoughPhotons(Rule):
    least: float
    def sentence(self) -> str:
        return f"A pattern has {self.least:g} photons on average."
    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        photons = float((values["diffraction"] ** 2).sum(axis=(1, 2)).mean())
        if photons < self.least:
            yield self.breach("photons", "diffraction", f"{photons:.0f} photons", f"{self.least:g}", "expose longer")

BEAMLINE = SCAN.extended(
    "beamline-scan", 3, "Scans of our beamline.",
    fields=(FieldSpec(key="photon_energy_eV", meaning="Photon energy.", unit="eV", minimum=5000, maximum=12000),),
    rules=(EnoughPhotons(needs=("diffraction",), least=1e5),),
)
LOG = TableContract(name="log", version=1, summary="The log.", columns=(
    ColumnSpec(key="run", meaning="Number of the run.", type="integer", unique=True),))
"""


@pytest.fixture
def yours(tmp_path: Path) -> Path:
    path = tmp_path / "yours.py"
    path.write_text(YOURS)
    return path


def test_ours_are_found_by_name_and_by_version() -> None:
    assert contracts()[: len(OURS)] == OURS
    assert contract_named("scan") is SCAN
    assert contract_named("product/2") is PRODUCT


def test_one_file_adds_contracts(yours: Path) -> None:
    assert [contract.id for contract in contracts(yours)[len(OURS) :]] == ["beamline-scan/3", "log/1"]
    for name in ("BEAMLINE", "beamline-scan", "beamline-scan/3"):
        assert contract_named(f"{yours}:{name}").id == "beamline-scan/3"
    assert contract_named(f"{yours}:BEAMLINE") is contract_named(f"{yours}:beamline-scan")


def test_the_setting_names_the_file(yours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALTI_CONTRACTS", str(yours))
    assert contract_named("log").version == 1


def test_an_edited_file_is_read_again(yours: Path) -> None:
    assert contract_named(f"{yours}:LOG").version == 1
    yours.write_text(YOURS.replace('name="log", version=1', 'name="log", version=2'))
    assert contract_named(f"{yours}:LOG").version == 2


def test_a_derived_scan_contract_converts_and_then_asks_for_more(yours: Path) -> None:
    mine = contract_named(f"{yours}:BEAMLINE")
    assert isinstance(mine, ScanContract)
    row, col = np.mgrid[:16, :16] - 8
    counts = np.stack([np.rint((9 + i) * np.exp(-(row**2 + col**2) / 8)) for i in range(6)]).astype("u2")
    outcome = validate_content({"diff3d": counts, "xcoords": np.arange(6.0), "ycoords": np.arange(6.0)}, mine)
    assert [v.code for v in outcome.violations] == ["field.missing", "photons"]
    assert "diffraction: counts to amplitude by the square root" in outcome.conversions


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "scam",
            r"scam is no contract; the contracts are scan, product, readable-product, export, export-without-patterns",
        ),
        ("scan/9", r"contract scan is at version 3 here, not 9"),
        ("yours.py:NONE", r"NONE is no contract in yours.py; the contracts in yours.py are beamline-scan, log\."),
        ("nowhere.py:A", r"nowhere.py cannot be read: No such file"),
        ("x\x1b[1m", r"x\\x1b\[1m is no contract"),
    ],
)
def test_a_name_that_is_none_is_answered_with_those_there_are(
    yours: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    monkeypatch.chdir(yours.parent)
    with pytest.raises(NotFound, match=says):
        contract_named(name)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = (", r"broken.py does not run: line 1, SyntaxError"),
        (
            "\nimport nothing_called_so",
            r"does not run: line 2, ModuleNotFoundError: No module named 'nothing_called_so'",
        ),
        ("from smalti.contracts import SCAN\n\n\nSCAN.extended('a b', 1, '')", r"line 4, ValidationError"),
    ],
)
def test_a_file_that_does_not_run_is_refused_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("broken.py")
    path.write_text(text)
    with pytest.raises(Refused, match=says):
        contracts(path)


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from smalti.contracts import SCAN\nMINE = SCAN.extended('scan', 2, '')\n")
    with pytest.raises(Refused, match="has a contract called scan, and there is one already"):
        contracts(path)
    assert contract_named(f"{path}:MINE").id == "scan/2"


def test_a_file_of_another_kind_is_a_violation() -> None:
    [violation] = validate_content({"a": np.ones(3)}, contract_named("table")).violations
    assert str(violation).startswith("the file: found arrays, wanted a table; give a file for the contract table/1")
