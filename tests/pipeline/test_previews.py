"""Laws of what assets show: small enough for the event log, three digits, and outputs that fail nothing."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from PIL import Image

from assets.outputs import in_gallery, written
from assets.previews import curve, measured, numbers_of, picture, records
from smalti.outputs.curve import Curve
from smalti.outputs.parts import Part
from smalti.ptycho.report.outputs import write_scan_parts

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


def test_a_table_shows_short_numbers_and_digests() -> None:
    address = "sha256:" + "0123456789abcdef" * 4
    (row,) = records([{"trial": "a", "loss": 0.123456, "checkpoint": address, "left": None}]).records
    assert row.data == {"trial": "a", "loss": "0.123", "checkpoint": "sha256:0123456789ab", "left": ""}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    return tmp_path


def in_an_op(act: Callable[[dg.OpExecutionContext], Any]) -> Any:
    """Return what a function returns inside a run."""
    found: list[Any] = []

    @dg.op
    def acting(context: dg.OpExecutionContext) -> None:
        found.append(act(context))

    @dg.job
    def alone() -> None:
        acting()

    assert alone.execute_in_process().success
    return found[0]


def test_several_scans_are_written_with_one_gallery_and_the_run_is_linked(root: Path) -> None:
    def act(context: dg.OpExecutionContext) -> tuple[str, str]:
        for key in ("one", "two"):
            found = written(context, write_scan_parts, key, [Part("scan", key, files={"a.png": b""})])
            assert found["outputs"].value == str(root / "outputs" / key)
        return str(in_gallery(context, ["one", "two"])["gallery"].value), context.run_id

    page, run_id = in_an_op(act)
    assert page == str(root / "outputs" / "index.html")
    assert Path(page).read_text().count(f"/runs/{run_id}") == 2


def test_what_cannot_be_written_is_told_of_in_place_of_its_path(root: Path) -> None:
    (root / "outputs" / "one").mkdir(parents=True)
    (root / "outputs" / "one" / "mine.txt").write_text("mine")
    found = in_an_op(lambda context: written(context, write_scan_parts, "one", [Part("scan", "one")]))
    assert "is not an older folder of outputs of scan 'one'" in str(found["outputs"].value)


def test_a_gallery_that_cannot_be_written_fails_nothing(root: Path) -> None:
    (root / "outputs" / "index.html").mkdir(parents=True)
    assert in_an_op(lambda context: in_gallery(context, ["one"])) == {}
