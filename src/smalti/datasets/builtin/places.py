"""Where a file of the user's lies that a built-in dataset is read from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from smalti.contracts.violation import shown
from smalti.errors import NotFound
from smalti.settings import Settings


def folders(dataset: str, path: str | Path | None) -> tuple[Path, ...]:
    """Return the folders to look into: ``path`` where it is given, else those of the root where such files lie."""
    if path is not None:
        return (Path(path),)
    data = Settings().root / "data"
    return (data / "external" / dataset, data / "raw" / dataset, data / dataset, data / "raw")


def absent(dataset: str, names: Iterable[str], looked: Iterable[Path], get_it: str) -> NotFound:
    """Return the error for a file that is in none of the folders."""
    places = ", ".join(shown(str(folder)) for folder in looked)
    return NotFound(f"{dataset} is not here: {' or '.join(names)} is in none of {places}. {get_it}")
