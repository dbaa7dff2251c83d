"""The asking side of many verdicts: one sandbox for all, and a new one after each file that ended it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from smalti.compute import ChildStopped, run_child
from smalti.ingest.sandbox import limits_for

_CHILD = Path(__file__).parent / "child"
_NBYTES_FOR_CPU = 64 << 20  # many files need more time than one


@dataclass(frozen=True)
class Answer:
    """What came of one file: its verdict and the seconds it took, or how it ended the sandbox."""

    verdict: dict[str, Any] | None
    seconds: float = 0.0
    stopped: ChildStopped | None = None


def judged(paths: Sequence[Path]) -> list[Answer]:
    """Return the answer on each file, in order."""
    answers: list[Answer] = []

    def note(said: dict[str, Any]) -> None:
        if "verdict" in said:
            answers.append(Answer(**said))

    places = os.pathsep.join(filter(None, (str(_CHILD), os.environ.get("PYTHONPATH"))))
    with mock.patch.dict(os.environ, {"PYTHONPATH": places}):
        while len(answers) < len(paths):
            waiting = [str(path) for path in paths[len(answers) :]]
            try:
                run_child("smalti.judge_many:judge_many", {"paths": waiting}, note, limits=limits_for(_NBYTES_FOR_CPU))
            except ChildStopped as stopped:
                answers.append(Answer(None, stopped=stopped))
    return answers
