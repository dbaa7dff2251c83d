"""What tests of codecs share: the ordinary file of a value, of which a store keeps small ones in the record."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from smalti import Store

FileOf = Callable[[Store, Any], Path]


@pytest.fixture(scope="session")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> FileOf:
    """Return the file of a value, as the store keeps it or writes it."""
    folder, numbers = tmp_path_factory.mktemp("files"), count()

    def file_of(store: Store, value: Any) -> Path:
        ref = store.put(value)
        if (path := store.file(ref)) is None:
            endings = {"array": "npy", "table": "arrow", "weights": "safetensors", "bytes": "bin", "json": "json"}
            store.write_file(ref, path := folder / f"{next(numbers)}.{endings[ref.kind]}")
        return path

    return file_of
