"""The page on contracts: what it shows is what contracts say of themselves, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smalti.contracts import SCAN, AnyContract, contract_named
from smalti.contracts.builtin.titanic import TITANIC_TRAIN
from smalti.contracts.registry import contracts_in
from smalti.ingest.validate import validate_content, validate_file

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "contracts.md").read_text()


@pytest.fixture
def beamline(tmp_path: Path) -> Path:
    path = tmp_path / "beamline.py"
    path.write_text("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.S)))
    return path


@pytest.mark.parametrize("contract", [SCAN, TITANIC_TRAIN])
def test_the_page_shows_what_the_contract_says(contract: AnyContract) -> None:
    assert contract.describe().strip() in PAGE


def test_every_code_is_on_the_page() -> None:
    rooms = [ROOT / "src" / "smalti" / room for room in ("contracts", "scans")]
    text = "".join(module.read_text() for room in rooms for module in room.rglob("*.py"))
    codes = set(re.findall(r'(?:Violation|breach|Question)\(\s*"([a-zA-Z]+\.[a-z_]+)"', text))
    readers = "".join(module.read_text() for module in (ROOT / "src" / "smalti" / "formats").glob("*.py"))
    codes |= set(re.findall(r'"(table\.[a-z_]+)"', readers))
    codes |= {f"<key>.{rule}" for rule in re.findall(r'breach\(f"{key}\.([a-z_]+)"', text)}
    assert len(codes) > 30
    assert {code for code in codes if f"`{code}`" not in PAGE and not code.startswith(("card.", "file."))} == set()


def test_the_example_scan_contract_converts_and_asks_for_more(beamline: Path) -> None:
    contract = contract_named(f"{beamline}:BEAMLINE")
    row, col = np.mgrid[:16, :16] - 8
    counts = np.stack([np.rint(9 * np.exp(-(row**2 + col**2) / 8)) for _ in range(6)]).astype("u2")
    outcome = validate_content({"diff3d": counts, "xcoords": np.arange(6.0), "ycoords": np.arange(6.0)}, contract)
    assert [v.code for v in outcome.violations] == ["field.missing", "beamline.photons"]
    assert "- A pattern has 10000 photons on average." in contract.describe()


def test_the_example_table_contract_has_a_rule_across_columns(beamline: Path) -> None:
    assert [contract.id for contract in contracts_in(beamline)] == ["beamline-scan/1", "log/1"]
    log = contract_named(f"{beamline}:LOG")
    rows = pd.DataFrame({"Run #": [1, 2], "start_s": [0, 5], "end_s": [4.0, 9], "sample": ["AB1", "CD22"]})
    assert log.check(rows) == ()
    [violation] = log.check(rows.assign(end_s=[4.0, 5]))
    assert (violation.code, violation.index) == ("table.rule", (1,))
    assert "wanted runs that end after they start" in str(violation)
    [violation] = log.check(rows.assign(sample=["AB1", "?"]))
    assert (violation.code, violation.severity) == ("column.pattern", "warning")


def test_the_example_kind_takes_the_tables_that_it_fits(
    beamline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALTI_CONTRACTS", str(beamline))
    (tmp_path / "log.csv").write_text("Run #,start_s,end_s,sample\n1,0,4,AB1\n")
    (tmp_path / "wrong.csv").write_text("Run #,start_s,end_s,sample\n1,5,4,AB1\n")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    log, wrong, other = (validate_file(tmp_path / name) for name in ("log.csv", "wrong.csv", "other.csv"))
    assert (log.accepted, log.kind, log.contract) == (True, "log", "log/1")
    assert (wrong.accepted, wrong.kind) == (False, "log")
    assert (other.accepted, other.kind) == (True, "table")
