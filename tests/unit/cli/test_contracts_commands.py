"""``smalti contracts``: the list, and a page about each in three forms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from smalti.cli.contracts import app
from smalti.contracts import SCAN
from smalti.contracts.registry import OURS
from smalti.errors import NotFound


def run(*args: str) -> Result:
    return CliRunner().invoke(app, list(args))


def test_every_contract_is_listed() -> None:
    result = run("list")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == [contract.id for contract in OURS]
    assert [entry["id"] for entry in json.loads(run("list", "--json").stdout)] == [contract.id for contract in OURS]


@pytest.mark.parametrize("name", [contract.name for contract in OURS])
def test_a_contract_is_shown_as_a_page_as_markdown_and_as_json(name: str) -> None:
    contract = next(contract for contract in OURS if contract.name == name)
    assert run("show", name, "--markdown").stdout == contract.describe()
    assert f"Contract {contract.id}" in run("show", name).stdout
    document = json.loads(run("show", name, "--json").stdout)
    assert (document["id"], document["digest"]) == (contract.id, contract.digest)


def test_the_rules_in_json_say_which_they_are() -> None:
    rules = json.loads(run("show", "scan", "--json").stdout)["rules"]
    assert [rule["rule"] for rule in rules] == [type(rule).__name__ for rule in SCAN.rules]
    assert [rule["severity"] for rule in rules] == ["error", "error", "error", "warning", "warning"]


def test_a_contract_of_a_file_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from smalti.contracts import SCAN\nMINE = SCAN.extended('mine', 1, 'Ours.')\n")
    assert run("show", f"{path}:MINE", "--markdown").stdout.startswith("# Contract mine/1\n\nOurs.\n")


def test_an_unknown_contract_names_the_known_ones() -> None:
    result = run("show", "scam")
    assert isinstance(result.exception, NotFound)
    assert "the contracts are scan, product" in str(result.exception)
