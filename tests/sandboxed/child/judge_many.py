"""Judges many files in one sandbox, for tests; the command gives each a sandbox of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from smalti.ingest.validate import validate_request


def judge_many(request: Mapping[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Report the verdict on each of ``request["paths"]``, and the seconds it took."""
    for number, path in enumerate(request["paths"]):
        report({"begun": number})
        begin = time.monotonic()
        verdict = validate_request({"path": path, "contract": None}, report)
        report({"verdict": verdict, "seconds": time.monotonic() - begin})
    return {}
