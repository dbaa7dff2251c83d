"""Which compressed HDF5 chunks can be undone: by filters inside the library, and by those of ``hdf5plugin``.

A filter is code. HDF5 itself would look for one in the folders of HDF5_PLUGIN_PATH and in its own; here those
folders are out of its reach while filters are registered, so that none is ever loaded from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import h5py

from smalti.contracts.violation import Violation

BUILT_IN = frozenset({1, 2, 3, 4, 5, 6, 32000})  # inside the HDF5 library, and LZF of h5py
# Those of hdf5plugin that detectors and their software write.
FROM_PLUGIN = {307: "bzip2", 32001: "Blosc", 32004: "LZ4", 32008: "bitshuffle", 32015: "Zstandard", 32026: "Blosc2"}
_NAMES = {**FROM_PLUGIN, 32013: "ZFP", 32017: "SZ"}
REPACK = "write it again with gzip, e.g. h5repack -f GZIP=4 old.h5 new.h5"


def codes_of(dataset: h5py.Dataset) -> tuple[int, ...]:
    """Return the filters that its chunks went through."""
    creation = dataset.id.get_create_plist()
    return tuple(creation.get_filter(i)[0] for i in range(creation.get_nfilters()))


def name_of(code: int) -> str:
    """Return the name of a filter for people, with its number."""
    return f"{_NAMES.get(code, 'a plugin')} (filter {code})"


def filter_breaches(
    dataset: h5py.Dataset, place: str, registered: Callable[[], frozenset[int]] | None = None
) -> Iterator[Violation]:
    """Yield a violation for each filter that cannot be undone here.

    Args:
        registered: registers the filters of ``hdf5plugin`` and returns their codes; asked only where one is needed.
    """
    foreign = [code for code in codes_of(dataset) if code not in BUILT_IN]
    if not foreign:
        return
    available = (registered or plugin_filters)() if set(foreign) & set(FROM_PLUGIN) else frozenset()
    for code in foreign:
        if code in available and code in FROM_PLUGIN:
            continue
        found = f"compression by {name_of(code)}"
        wanted = "no compression, gzip or LZF"
        remedy = f'install what undoes it (pip install "smalti[hdf5]"), or {REPACK}' if code in FROM_PLUGIN else REPACK
        yield Violation("hdf5.filter", place, found, wanted, remedy)


def plugin_filters() -> frozenset[int]:
    """Register the filters of ``hdf5plugin`` and return those that are there; none where it is not installed."""
    with _without_plugin_folders():
        try:
            import hdf5plugin
        except ImportError:
            return frozenset()
        hdf5plugin.register(force=False)
        return frozenset(code for code in FROM_PLUGIN if h5py.h5z.filter_avail(code))


@contextmanager
def _without_plugin_folders() -> Iterator[None]:
    folders = [h5py.h5pl.get(i) for i in range(h5py.h5pl.size())]
    for _ in folders:
        h5py.h5pl.remove(0)
    try:
        yield
    finally:
        for folder in folders:
            h5py.h5pl.append(folder)
