"""Where a file of the user's lies that a built-in dataset is read from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


def absent(dataset: str, names: Iterable[str], looked: Sequence[Path], get_it: str) -> NotFound:
    """Return the error for a file that is in none of the folders."""
    places = [shown(str(folder)) + " (a file)" * folder.is_file() for folder in looked]
    where = f"in none of {', '.join(places)}" if len(places) > 1 else f"not in {places[0]}"
    return NotFound(f"{dataset} is not here: {' or '.join(names)} is {where}. {get_it}")
