"""Many files through the real sandbox, values handed over and all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalti.ingest.sandbox import Sandbox


@dataclass(frozen=True)
class Answer:
    """What came of one file: its document, whether a value came back, and the seconds it took."""

    document: dict[str, Any]
    has_value: bool
    seconds: float


def validated(paths: Sequence[Path]) -> list[Answer]:
    """Return the answer on each file, in order."""
    with Sandbox() as sandbox:
        return [answer(sandbox, path) for path in paths]


def answer(sandbox: Sandbox, path: Path) -> Answer:
    """Return the answer on one file."""
    begin = time.monotonic()
    result = sandbox.validate(path, keep=True)
    return Answer(result.document, result.value is not None, time.monotonic() - begin)
