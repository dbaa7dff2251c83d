"""Laws of what assets show: small enough for the event log, three digits, and outputs that fail nothing."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import pytest
from PIL import Image

from assets.outputs import shown
from assets.previews import curve, digest, measured, nbytes, numbers_of, picture, records
from smalti.outputs.curve import Curve
from smalti.outputs.parts import Part
from smalti.ptycho.report.outputs import write_scan_parts

LOG = logging.getLogger(__name__)
INLINE = 1000  # characters of Markdown from which on the UI shows them only when they are asked for


def test_pictures_and_curves_are_shown_in_their_line() -> None:
    assert len(picture(Image.effect_mandelbrot((400, 300), (-2, -1, 1, 1), 90).convert("RGB"), "a set").md_str) < INLINE
    assert len(curve([Curve("loss", range(999), [1 / (n + 1) for n in range(999)])], "loss", "epoch").md_str) < INLINE


def test_numbers_have_three_digits_and_what_dagster_cannot_hold_is_left_out() -> None:
    entry = {
        "loss": 0.123456,
        "epoch": 12345,
        "bad": math.nan,
        "psnr": math.inf,
        "done": True,
        "name": "x",
        "nm": 18.06,
    }
    assert numbers_of(entry) == {"loss": 0.123, "epoch": 12345, "nm": 18.1}
    assert measured(-1234.5) == -1230.0
    assert nbytes(12_345_678).text == "12.3 MB"


def test_a_table_shows_short_numbers_and_digests_and_a_digest_alone_is_whole() -> None:
    address = "sha256:" + "0123456789abcdef" * 4
    (row,) = records([{"trial": "a", "loss": 0.123456, "checkpoint": address, "left": None}]).records
    assert row.data == {"trial": "a", "loss": "0.123", "checkpoint": "sha256:0123456789ab", "left": ""}
    assert digest(address).value == address


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    return tmp_path


def test_several_scans_are_written_with_one_gallery_and_the_run_is_linked(root: Path) -> None:
    parts = {key: [Part("scan", key, files={"a.png": b""})] for key in ("one", "two")}
    found = shown(LOG, write_scan_parts, parts, "run-1")
    assert {key: entry["outputs"].value for key, entry in found.items()} == {
        key: str(root / "outputs" / key) for key in ("one", "two")
    }
    assert {entry["gallery"].value for entry in found.values()} == {str(root / "outputs" / "index.html")}
    assert (root / "outputs" / "index.html").read_text().count("/runs/run-1") == 2


def test_what_cannot_be_written_is_told_of_and_the_rest_is_written(root: Path) -> None:
    (root / "outputs" / "one").mkdir(parents=True)
    (root / "outputs" / "one" / "mine.txt").write_text("mine")
    found = shown(LOG, write_scan_parts, {key: [Part("scan", key)] for key in ("one", "two")}, "")
    assert "is not an older folder of outputs of scan 'one'" in str(found["one"]["outputs"].value)
    assert found["two"]["outputs"].value == str(root / "outputs" / "two")


def test_a_gallery_that_cannot_be_written_fails_nothing(root: Path) -> None:
    (root / "outputs" / "index.html").mkdir(parents=True)
    assert set(shown(LOG, write_scan_parts, {"one": [Part("scan", "1")]}, "")["one"]) == {"outputs"}
