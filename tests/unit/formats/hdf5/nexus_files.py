"""What the tests of CXI and NeXus share: a small scan, and how it is written and read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from smalti.formats import Content, read_file
from tests.unit.formats.hostile.making import sound

COUNTS = np.rint(sound()["diffraction"] ** 2).astype("u2")
WHERE = np.random.default_rng(3).uniform(-1e-6, 1e-6, (12, 3))
JOULE = 1.602176634e-19
DETECTOR, SOURCE = "entry_1/instrument_1/detector_1", "entry_1/instrument_1/source_1"
NAMES = frozenset({"diffraction", "xcoords", "ycoords", "probeGuess", "objectGuess", "scan_index", "bad_pixels"})
Fill = Callable[[h5py.File], Any]


def put(file: h5py.Group, path: str, value: Any, units: str | None = None, **attributes: Any) -> h5py.Dataset:
    dataset = file.create_dataset(path, data=value)
    dataset.attrs.update({**attributes, **({} if units is None else {"units": units})})
    return dataset


def nx(file: h5py.Group, path: str, nx_class: str) -> h5py.Group:
    group = file.require_group(path)
    group.attrs["NX_class"] = nx_class
    return group


def read(path: Path, fill: Fill, *named: str) -> Content:
    with h5py.File(path, "w") as file:
        fill(file)
    content = read_file(path, wanted=NAMES | set(named))
    assert isinstance(content, Content)
    return content


def cxi(file: h5py.File, entry: str = "entry_1") -> h5py.Group:
    """Patterns and translations as CXI 1.6 has them."""
    group = file.require_group(entry)
    put(group, "instrument_1/detector_1/data", COUNTS)
    group["data_1/data"] = h5py.SoftLink(f"/{entry}/instrument_1/detector_1/data")
    put(group, "data_1/translation", WHERE)
    return group


def warnings(content: Content) -> dict[str, str]:
    assert all(violation.severity == "warning" for violation in content.violations)
    return {violation.code: str(violation) for violation in content.violations}
