"""How two directories differ: entry by entry, by value, type and dtype."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.directory.hdf5.arrays import ArrayFile
from smalti.directory.namespaces import Namespace, diff
from smalti.directory.tables import is_table

if TYPE_CHECKING:
    from smalti.directory.directory import Directory

_CHUNK_NBYTES = 1024 * 1024


class DirectoryDiff:
    """The comparison of two directories.

    Args:
        directory1: the first.
        directory2: the second.
        name1: what the first is called; by default its folder's name, with folders above it where both have the same.
        name2: what the second is called, likewise.
    """

    def __init__(
        self, directory1: Directory, directory2: Directory, name1: str | None = None, name2: str | None = None
    ) -> None:
        self.directory1, self.directory2 = directory1, directory2
        own1, own2 = _names(directory1.path, directory2.path)
        self.name1, self.name2 = name1 or own1, name2 or own2

    def equal(self, fail: bool = False) -> bool:
        """Tell whether they are equal in class, configuration, metadata, docstring, keys and values.

        Raises:
            AssertionError: they are not and ``fail``; it says in what.
        """
        reason = next(_differences(self.directory1, self.directory2), None)
        if reason and fail:
            raise AssertionError(reason)
        return reason is None

    def diff(self, invert: bool = False) -> dict[str, list[str]]:
        """Return lines ``+key: value`` (only here), ``-key: value`` (only there), ``≠key: value`` under either name.

        Args:
            invert: begin with the second directory.
        """
        lines1: list[str] = []
        lines2: list[str] = []
        one, other = (self.directory2, self.directory1) if invert else (self.directory1, self.directory2)
        for sign1, sign2, key, value1, value2 in _changes(one, other, ""):
            lines1.append(f"{sign1}{key}: {_shown(value1)}")
            lines2.append(f"{sign2}{key}: {_shown(value2)}")
        name1, name2 = (self.name2, self.name1) if invert else (self.name1, self.name2)
        return {name1: lines1, name2: lines2}

    def config_diff(self) -> Namespace:
        """Return how the two configurations differ."""
        return diff(self.directory1.config, self.directory2.config, self.name1, self.name2)


def assert_equal_attributes(directory: Directory, target: Directory) -> None:
    """Check that two directories are equal in class, configuration, metadata, docstring and existence.

    Raises:
        AssertionError: they are not; it says in what.
    """
    for reason in _different_attributes(directory, target):
        raise AssertionError(reason)


def assert_equal_directories(directory: Directory, target: Directory) -> None:
    """Check that two directories are equal in these and in keys and values.

    Raises:
        AssertionError: they are not; it says in what.
    """
    for reason in _differences(directory, target):
        raise AssertionError(reason)


def are_equal(one: Any, other: Any) -> bool:
    """Tell whether two entries are equal: arrays and tables by type and value, files by their bytes."""
    import numpy as np

    if isinstance(one, ArrayFile) and isinstance(other, ArrayFile):
        if one.shape != other.shape or one.dtype != other.dtype:
            return False
        return np.array_equal(one[...], other[...], equal_nan=one.dtype.kind in "fc")
    if is_table(one) and is_table(other):
        return bool(one.equals(other))
    if isinstance(one, Path) and isinstance(other, Path):
        return _same_bytes(one, other)
    return False


def _is_directory(value: object) -> bool:
    from smalti.directory.directory import Directory

    return isinstance(value, Directory)


def _different_attributes(one: Directory, other: Directory) -> Iterator[str]:
    if one.path == other.path:
        return
    where = f"{one.path} and {other.path} differ in"
    if not isinstance(one, type(other)):
        yield f"{where} type: {type(one).__qualname__} and {type(other).__qualname__}"
    if one._config != other._config:
        yield f"{where} configuration: {diff(one._config, other._config)}"
    if one.meta != other.meta:
        yield f"{where} metadata: {diff(one.meta, other.meta)}"
    if one.__doc__ != other.__doc__:
        yield f"{where} docstring"
    if one.path.exists() != other.path.exists():
        yield f"{where} existence"


def _differences(one: Directory, other: Directory) -> Iterator[str]:
    if one.path == other.path:
        return
    yield from _different_attributes(one, other)
    keys1, keys2 = list(one.keys()), list(other.keys())
    if keys1 != keys2:
        yield f"{one.path} and {other.path} differ in keys: {sorted(set(keys1) ^ set(keys2))}"
    for key in keys1:
        value1, value2 = one[key], other[key]
        if _is_directory(value1) and _is_directory(value2):
            yield from _differences(value1, value2)
        elif not are_equal(value1, value2):
            yield f"{one.path} and {other.path} differ in {key}"


def _changes(one: Directory, other: Directory, above: str) -> Iterator[tuple[str, str, str, Any, Any]]:
    """Yield the signs, the key with those above it, and the values, of each entry that differs."""
    keys1, keys2 = dict.fromkeys(one.keys()), dict.fromkeys(other.keys())
    for key in keys1:
        value1 = one[key]
        if key not in keys2:
            yield "+", "-", above + key, value1, value1
            continue
        value2 = other[key]
        if _is_directory(value1) and _is_directory(value2):
            yield from _changes(value1, value2, f"{above}{key}.")
        elif not are_equal(value1, value2):
            yield "≠", "≠", above + key, value1, value2
    for key in keys2:
        if key not in keys1:
            value2 = other[key]
            yield "-", "+", above + key, value2, value2


def _shown(value: Any) -> str:
    return str(value[...]) if isinstance(value, ArrayFile) else str(value)


def _names(one: Path, other: Path) -> tuple[str, str]:
    """Return the ends of two paths that are as short as may be and not equal, where the paths are not."""
    for count in range(1, max(len(one.parts), len(other.parts)) + 1):
        name1, name2 = "/".join(one.parts[-count:]), "/".join(other.parts[-count:])
        if name1 != name2:
            return name1, name2
    return one.name, other.name


def _same_bytes(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as file1, other.open("rb") as file2:
        while piece := file1.read(_CHUNK_NBYTES):
            if piece != file2.read(_CHUNK_NBYTES):
                return False
    return True
