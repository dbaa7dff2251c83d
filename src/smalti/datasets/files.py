"""Files and folders of a user's as the value and the checksums of a dataset."""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smalti.contracts.violation import shown
from smalti.errors import NotFound, Refused
from smalti.formats import TableContent, read_file
from smalti.formats.regular_file import open_regular, sha256_of
from smalti.formats.sniff import EXPECTED, suffix_of

_TABLES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".arrow", ".feather"})


def value_of(path: Path) -> Any:
    """Return what a file or folder is stored as.

    A file of a known format becomes its table or its arrays by name, any other its bytes. A folder that holds nothing
    but tables becomes them by name, ``train.csv`` as ``train``; any other folder its files as bytes, folder by folder.

    Raises:
        NotFound: there is nothing at ``path``.
        Refused: the folder is empty, or something in it is neither file nor folder.
        ContractBroken: a file of a known format cannot be read.
    """
    if not path.is_dir():
        return _content(path) if suffix_of(path.name) in EXPECTED else _bytes(path)
    entries = _entries(path)
    stems = [entry.name.split(".")[0] for entry in entries]
    if all(entry.is_file() and suffix_of(entry.name) in _TABLES for entry in entries) and len(set(stems)) == len(stems):
        return {stem: _content(entry) for stem, entry in zip(stems, entries, strict=True)}
    return _folder(path)


def checksums_of(path: Path) -> Mapping[str, str]:
    """Return the SHA-256 of a file, or of each file of a folder, by its path in there."""
    if not path.is_dir():
        return {path.name: sha256_of(path)}
    files = sorted(Path(place) / name for place, _, names in os.walk(path) for name in names)
    return {file.relative_to(path).as_posix(): sha256_of(file) for file in files}


def _folder(path: Path) -> dict[str, Any]:
    return {entry.name: _folder(entry) if entry.is_dir() else _bytes(entry) for entry in _entries(path)}


def _entries(path: Path) -> list[Path]:
    entries = sorted(path.iterdir())
    if not entries:
        raise Refused(f"the folder {shown(str(path))} is empty; name one that holds the dataset.")
    return entries


def _content(path: Path) -> Any:
    content = read_file(path)
    return content.table if isinstance(content, TableContent) else dict(content.arrays)


def _bytes(path: Path) -> Any:
    if not path.exists():
        raise NotFound(f"there is nothing at {shown(str(path))}; name a file or a folder.")
    with open_regular(path) as file:
        if not os.fstat(file.fileno()).st_size:  # an empty file cannot be mapped
            return b""
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
