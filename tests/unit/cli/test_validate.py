"""The command: 0 accepted, 1 rejected with a sentence for each violation, 2 usage; never a traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from smalti import open_store
from smalti.cli.validate import validate
from smalti.errors import Refused

CARD = "name: mine\nsource: here\nversion: '1'\nlicence: CC0-1.0\n"


def run(*args: str | Path) -> Result:
    app = typer.Typer()
    app.command()(validate)
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def good(tmp_path: Path) -> dict[str, Any]:
    row, col = np.mgrid[:16, :16] - 8
    counts = np.rint(900 * np.exp(-(row**2 + col**2) / 8))
    return {
        "diffraction": np.sqrt(np.stack([counts + i % 2 for i in range(6)])).astype("f4"),
        "xcoords": np.arange(6.0),
        "ycoords": np.arange(6.0),
    }


def test_an_accepted_scan_is_described(tmp_path: Path, good: dict[str, Any]) -> None:
    np.savez(tmp_path / "scan.npz", weather=np.zeros(3), **good)
    result = run(tmp_path / "scan.npz")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "scan.npz: accepted, scan/3, 6 patterns of 16 x 16.",
        "  converted  scan_index: absent, numbered 0 to 5",
        "  warning    the file: found the arrays weather, wanted only diffraction, xcoords, ycoords, probeGuess, "
        "objectGuess, scan_index, Y, bad_pixels; nothing reads the others.",
        "  warning    the scan: found no object pixel size, wanted physics in the card that give one, for the "
        "product's metres; state object_pixel_size_m, or photon_energy_eV, detector_distance_m and "
        "detector_pixel_size_m in scan.npz.card.yaml.",
    ]


def test_one_pattern_one_row_and_one_column_are_told_in_the_singular(tmp_path: Path, good: dict[str, Any]) -> None:
    np.savez(tmp_path / "scan.npz", **{name: array[:1] for name, array in good.items()})
    (tmp_path / "table.csv").write_text("a\n1\n")
    assert "accepted, scan/3, 1 pattern of 16 x 16." in run(tmp_path / "scan.npz").stdout
    assert "accepted, table/1, 1 row of 1 column." in run(tmp_path / "table.csv").stdout


def test_the_star_is_accepted_with_its_assumptions(star_path: Path) -> None:
    result = run(star_path)
    assert result.exit_code == 0
    assert "accepted, scan/3, 516 patterns of 128 x 128." in result.stdout
    assert result.stdout.count("  assumed    ") == 3
    assert "DC moved from the corner to the centre" in result.stdout


def test_a_rejected_scan_has_each_violation_on_its_own_line(tmp_path: Path, good: dict[str, Any]) -> None:
    good["diffraction"][0, 0, 0] = np.nan
    np.savez(tmp_path / "scan.npz", **{**good, "xcoords": np.ones(5), "extra": np.ones(2)})
    result = run(tmp_path / "scan.npz")
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("scan.npz: diffraction: found 1 of 1536 values (first at [0, 0, 0]) that are NaN")
    assert lines[1].startswith("scan.npz: xcoords: found N = 5, wanted N = 6 as in diffraction")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no file"),
        (lambda path: path.mkdir(), "scan.npz: the file: found a folder, wanted a regular file"),
        (os.mkfifo, "scan.npz: the file: found a named pipe"),
        (lambda path: path.write_bytes(b"PK\x03\x04 cut short"), "scan.npz: the file: found damage (BadZipFile"),
        (lambda path: path.write_bytes(b"\x00" * 99), "wanted an .npz archive"),
        (lambda path: np.savez(path, x=np.ones(3), ycoords=np.ones(3), xcoords=np.ones(3)), "wanted diffraction or"),
        (
            lambda path: (np.savez(path, x=1), Path(f"{path}.card.yaml").write_text(CARD + "licens: MIT\n")),
            "scan.npz.card.yaml: licens: found an unknown field, wanted one of name, title",
        ),
    ],
)
def test_whatever_is_wrong_is_one_plain_sentence(tmp_path: Path, make: Any, says: str) -> None:
    make(tmp_path / "scan.npz")
    result = run(tmp_path / "scan.npz")
    assert result.exit_code == 1
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert says in line
    assert "Traceback" not in line
    assert line.endswith(".")


@pytest.mark.parametrize("args", [(), ("a.npz", "b.npz"), ("a.npz", "--contract", "tables"), ("--frobnicate", "a.npz")])
def test_wrong_usage_is_2(args: tuple[str, ...]) -> None:
    assert run(*args).exit_code == 2


def test_an_unknown_contract_names_the_known_ones(tmp_path: Path) -> None:
    assert "the contracts are scan, " in " ".join(run(tmp_path, "--contract", "tables").stderr.split())


@pytest.mark.parametrize(
    ("name", "contract", "says"),
    [
        ("scan.npz", "table", "scan.npz: the file: found arrays, wanted a table; give a file for the contract table/1"),
        ("table.csv", "scan", "table.csv: the file: found a table, wanted arrays; give a file for the contract scan/3"),
        ("table.csv", "product", "table.csv: the file: found a file in the form csv, wanted a product as HDF5 or NPZ"),
    ],
)
def test_a_contract_on_something_else_is_told(
    tmp_path: Path, good: dict[str, Any], name: str, contract: str, says: str
) -> None:
    np.savez(tmp_path / "scan.npz", **good)
    (tmp_path / "table.csv").write_text("a,b\n1,x\n")
    result = run(tmp_path / name, "--contract", contract)
    assert result.exit_code == 1
    assert result.stderr.startswith(says)


def test_a_table_is_validated_as_a_table(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n1,x\n2,y\n")
    result = run(tmp_path / "table.csv")
    assert (result.exit_code, result.stdout) == (0, "table.csv: accepted, table/1, 2 rows of 2 columns.\n")


def test_a_file_that_ends_its_reader_is_rejected_like_any_other(
    tmp_path: Path, good: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smalti.ingest.sandbox._MEMORY_NBYTES", 1 << 20)
    large = np.ones((6, 256, 256), np.float32)  # more than an interpreter that may take no more has to spare
    np.savez(tmp_path / "scan.npz", **{**good, "diffraction": large})
    result = run(tmp_path / "scan.npz", "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["accepted"]) == (1, False)
    assert document["violations"][0]["code"] in ("file.too_much_memory", "file.crashed_the_reader")


def test_json_says_the_same(tmp_path: Path, good: dict[str, Any]) -> None:
    path = tmp_path / "scan.npz"
    np.savez(path, **good)
    accepted = run(path, "--json")
    document = json.loads(accepted.stdout)
    assert accepted.exit_code == 0
    assert [violation["code"] for violation in document.pop("violations")] == ["physics.pixel_size"]
    assert document.pop("missing").startswith("no product until a card says the pixel size")
    assert document == {
        "path": str(path),
        "contract": "scan/3",
        "accepted": True,
        "reason": None,
        "kind": "scan",
        "shape": [6, 16, 16],
        "contents": None,
        "conversions": ["scan_index: absent, numbered 0 to 5"],
        "skipped": [],
        "assumptions": [],
    }
    np.savez(path, **{**good, "xcoords": np.ones(5)})
    rejected = run(path, "--json")
    document = json.loads(rejected.stdout)
    assert rejected.exit_code == 1
    assert document["accepted"] is False
    [violation] = document["violations"]
    assert (violation["code"], violation["place"]) == ("dimension.mismatch", "xcoords")
    assert document["reason"] == f"scan.npz: {violation['message']}"


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize("name", [b"\xff.npz", "Läufe\n\u202e.npz".encode()])
def test_any_file_name_can_be_printed(tmp_path: Path, good: dict[str, Any], name: bytes, options: Any) -> None:
    path = tmp_path / os.fsdecode(name)
    np.savez(path, **good)
    result = run(path, *options)
    assert result.exit_code == 0
    assert ("\u202e" in result.stdout) == (bool(options) and b"L" in name)


def test_json_of_a_file_that_is_not_there_has_the_reason(tmp_path: Path) -> None:
    result = run(tmp_path / "none.npz", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["violations"] == []
    assert "there is no file" in json.loads(result.stdout)["reason"]


def test_a_table_is_compared_with_the_columns_of_a_stored_one(tmp_path: Path) -> None:
    import pandas as pd

    first = pd.DataFrame({"x": [1.0, 2.0], "label": ["a", "b"]})
    store = open_store(tmp_path / "store")
    store.put(first, name="accepted")
    store.put(b"bytes", name="opaque")
    first.to_parquet(tmp_path / "same.parquet")
    pd.DataFrame({"x": ["1", "2"]}).to_parquet(tmp_path / "other.parquet")
    since = ("--since", "accepted", "--store", tmp_path / "store")
    assert run(tmp_path / "same.parquet", *since).exit_code == 0
    result = run(tmp_path / "other.parquet", *since)
    assert result.exit_code == 1
    assert "label: found no such column" in result.stderr
    assert "wanted double as in the last accepted version" in result.stderr
    refused = run(tmp_path / "same.parquet", "--since", "opaque", "--store", tmp_path / "store")
    assert isinstance(refused.exception, Refused)
    assert "'opaque' is no table" in str(refused.exception)
