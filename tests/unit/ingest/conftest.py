"""Small raw files, and a validator in this process: what the sandbox does, without its child."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti.errors import NotFound, SmaltiError
from smalti.formats import opened
from smalti.formats.hdf5.storage import stored_arrays
from smalti.ingest.validate import document, refused, validate_file
from smalti.store.values import ArrayInside

Write = Callable[..., Path]


@dataclass
class Validated:
    """What the validator answers."""

    document: dict[str, Any]
    value: Any


@dataclass
class InProcess:
    """Validates here; ``read`` lists the files, ``faults`` raises an error for a file of that name instead."""

    faults: dict[str, SmaltiError] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def validate(self, path: Path, *, contract: str | None = None, keep: bool = False) -> Validated:
        self.read.append(path.name)
        if path.name in self.faults:
            raise self.faults[path.name]
        try:
            result = validate_file(path)
        except NotFound as error:
            result = refused(error)
        return Validated(document(result, path.name), result.value if keep else None)

    def stored_arrays(self, path: Path) -> tuple[ArrayInside, ...]:
        with opened(path) as source:
            return stored_arrays(source)


@pytest.fixture
def validator() -> InProcess:
    return InProcess()


@pytest.fixture
def write() -> Write:
    """Write a small scan that keeps its contract, but for what is changed; None leaves an array out."""

    def write_scan(path: Path, **changes: Any) -> Path:
        row, column = np.mgrid[:16, :16] - 8
        counts = np.rint(900 * np.exp(-(row**2 + column**2) / 8))
        patterns = np.sqrt(np.stack([counts + i % 2 for i in range(6)])).astype("f4")
        arrays = {"diffraction": patterns, "xcoords": np.arange(6.0), "ycoords": np.arange(6.0), **changes}
        with path.open("wb") as file:
            np.savez(file, **{key: array for key, array in arrays.items() if array is not None})
        return path

    return write_scan
