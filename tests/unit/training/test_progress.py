"""Laws of the progress display: each epoch is told in one line, and only on stderr."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from smalti.training import shown
from smalti.training.progress import described

REPORT = {
    "epoch": 2, "epochs": 8, "step": 20, "steps": 80, "loss": 0.512345,
    "validation_loss": None, "accuracy": 0.75, "samples_per_s": 412.7,
}  # fmt: skip


def test_a_line_has_loss_metrics_and_speed_and_nothing_that_was_not_measured() -> None:
    assert described(REPORT) == "epoch 2 of 8, loss 0.5123, accuracy 0.75, 413 samples/s"


def test_without_a_terminal_each_epoch_is_a_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with shown("[titanic]") as report:
        report(REPORT)
        report({"checkpoint": "sha256:0", "epoch": 2, "step": 3})
        report({**REPORT, "epoch": 3, "validation_loss": 1.0})
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.split(",")[0] for line in told.err.splitlines()] == [
        "[titanic]  epoch 2 of 8",
        "[titanic]  epoch 3 of 8",
    ]
    assert "validation loss 1, accuracy 0.75" in told.err


def test_on_a_terminal_there_is_a_bar() -> None:
    program = f"from smalti.training import shown\nwith shown('titanic') as report: report({REPORT!r})"
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    subprocess.run([sys.executable, "-c", program], stderr=theirs, check=True, env=environment)
    os.close(theirs)
    told = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "titanic  epoch 2 of 8" in told
    assert "━" in told
