"""Where CXI and NeXus ptychography files keep the patterns, masks, positions and images of a scan.

Layout: CXI 1.6, https://www.cxidb.org/cxi.html; NXcxi_ptycho, https://github.com/lightsources/NX-cxi-ptycho;
NXdata and NXdetector, https://manual.nexusformat.org.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import h5py

from smalti.contracts.violation import shown
from smalti.formats.hdf5 import nexus
from smalti.formats.hdf5.dataset import dtype_of
from smalti.formats.hdf5.survey import Survey

_MOST_ENTRIES = 64
_ENTRY = re.compile(r"entry_?\d*")
_DATA = ("data_1/data", "instrument_1/detector_1/data")
_IMAGES = ("image_1/data",)
_AT_ROOT = (*_DATA, *_IMAGES, "data")
_TRANSLATIONS = (
    "data_1/translation", "sample_1/geometry_1/translation", "instrument_1/detector_1/translation"
)  # fmt: skip
_MASKS = ("mask", "pixel_mask", "detectorSpecific/pixel_mask")
_NAME_IT = "name the datasets of one of them in the card, as reading.diffraction.key and reading.positions"
# Ptychodus keeps its probe and object as images, and leaves a group of its own beside them.
_PTYCHODUS = {"probeGuess": "image_1/data", "objectGuess": "image_2/data"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a file keeps the parts of one scan, as paths.

    Attributes:
        entry: the group of the experiment; "" is the root.
        detector: the group of the detector, "" where there is none.
        arrays: name for a scan -> path.
        masks: bit fields of the detector's pixels; what is bad in any of them is bad.
        translation: of the sample, or of the probe.
        by_ptychodus: whether Ptychodus wrote it, which has the probe's motion where CXI has the sample's.
    """

    entry: str
    detector: str = ""
    arrays: dict[str, str] = field(default_factory=dict)
    masks: tuple[str, ...] = ()
    translation: str | None = None
    by_ptychodus: bool = False

    @property
    def is_scan(self) -> bool:
        """Whether it holds patterns."""
        return "diffraction" in self.arrays


def layout_of(found: Survey, named: Collection[str] = ()) -> Layout | None:
    """Return where the scan is; None: this is no CXI or NeXus file.

    Args:
        named: datasets within groups that the card names: the entry that they are in is the one, and where they are
            in several, or in none while several hold patterns, no entry is.

    Raises:
        ContractBroken: several entries, or several detectors of one, hold patterns, and the card names none of them.
    """
    entries = _entries(found)
    in_card = [entry for entry in entries if any(path.startswith(f"{entry}/") for path in named)]
    chosen = in_card or _holding_patterns(found, entries, named)
    if len(chosen) != 1:
        return None
    layout = _layout(found, chosen[0], _patterns(found, chosen[0]), named)
    said = layout.arrays or layout.masks or layout.translation or layout.detector
    return layout if said else None


def _holding_patterns(found: Survey, entries: list[str], named: Collection[str]) -> list[str]:
    """Return the entries with patterns of their own, or all where none has; at most one that the card does not name."""
    if len(entries) > _MOST_ENTRIES:
        raise _several(found, f"{len(entries)} entries")
    patterns = {entry: _patterns(found, entry) for entry in entries}
    distinct = _distinct(found, [path for paths in patterns.values() for path in paths])
    holding = list(dict.fromkeys(next(e for e, paths in patterns.items() if path in paths) for path in distinct))
    if len(holding) > 1 and not _names_patterns(found, named):
        raise _several(found, f"scans in {_listed(holding)}")
    return holding or entries


def detector_groups(found: Survey, entry: str) -> Iterator[str]:
    """Yield the groups of detectors, the usual ones first."""
    usual = [found.place(path) for path in forms(entry, "instrument_1/detector_1") if found.group(path) is not None]
    yield from usual
    for instrument in forms(entry, "instrument_1"):
        for path in nexus.of_class(found, found.place(instrument), "NXdetector"):
            if path not in usual:
                yield path


def _entries(found: Survey) -> list[str]:
    """Return the groups that may hold an experiment, each once; the root where its own datasets say so."""
    names = [name for name in (*found.groups, *found.links) if name and "/" not in name]
    entries: dict[str, str] = {}
    for name in names:
        group = found.group(name)
        if group is not None and (_ENTRY.fullmatch(name) or nexus.text(group, "NX_class") == "NXentry"):
            entries.setdefault(found.place(name), name)
    if not entries and (found.has("cxi_version") or found.group("instrument_1") is not None):
        return [""]
    return list(entries.values())


def _patterns(found: Survey, entry: str) -> list[str]:
    """Return the datasets of patterns in the first place where there are any."""
    detectors = list(detector_groups(found, entry))
    places: list[list[str]] = [
        *(list(forms(entry, place)) for place in _DATA),
        _signals(found, entry),
        [f"{detector}/data" for detector in detectors],
        [path for place in _IMAGES for path in forms(entry, place) if not _by_ptychodus(found, entry)],
        [path for place in _AT_ROOT for path in forms("", place)],
    ]
    least_ndim = [2, 2, 3, 3, 3, 3]
    for paths, ndim in zip(places, least_ndim, strict=True):
        if present := [path for path in paths if found.fault(path) or _is_stack(found, path, ndim)]:
            return _distinct(found, present)
    return []


def _layout(found: Survey, entry: str, patterns: list[str], named: Collection[str]) -> Layout:
    if len(patterns) > 1 and not _names_patterns(found, named):
        raise _several(found, f"patterns in {_listed(patterns)}")
    arrays = {"diffraction": patterns[0]} if patterns and not _names_patterns(found, named) else {}
    ours = _by_ptychodus(found, entry)
    for name, place in _PTYCHODUS.items() if ours else ():
        if path := _first(found, forms(entry, place)):
            arrays[name] = path
    detectors = list(detector_groups(found, entry))
    detector = next((at for at in detectors if len(_distinct(found, [*patterns[:1], f"{at}/data"])) == 1), "")
    detector = detector or next(iter(detectors), "")
    masks = _distinct(found, [f"{detector}/{name}" for name in _MASKS if _is_there(found, f"{detector}/{name}")])
    translations = [path for place in _TRANSLATIONS for path in forms(entry, place)]
    return Layout(entry, detector, arrays, tuple(masks), _first(found, translations), ours)


def _several(found: Survey, what: str) -> Exception:
    return found.source.refuse("hdf5.entries", "the file", what, "one scan in a file", _NAME_IT)


def _signals(found: Survey, entry: str) -> list[str]:
    """Return what the NXdata groups of an entry call their signal; that of the default group alone, if it says one."""
    groups = [path for path in found.groups if path.rpartition("/")[0] == entry and path]
    parent = found.group(entry)
    default = nexus.text(parent, "default") if parent is not None else None
    if default and (group := found.group(_at(entry, default))) is not None and (signal := nexus.text(group, "signal")):
        path = _at(entry, f"{default}/{signal}")
        if _is_stack(found, path, 3):
            return [path]
    signals = []
    for path in groups:
        signal = nexus.text(found.groups[path], "signal")
        if signal and nexus.text(found.groups[path], "NX_class") == "NXdata":
            signals.append(f"{path}/{signal}")
    return signals


def _is_stack(found: Survey, path: str, least_ndim: int) -> bool:
    if not found.has(path):
        return False
    dataset: h5py.Dataset = found.dataset(path)
    dtype = dtype_of(dataset)
    return dataset.ndim >= least_ndim and (dtype is None or least_ndim < 3 or dtype.kind in "iuf")


def _names_patterns(found: Survey, named: Collection[str]) -> bool:
    return any(_is_stack(found, path, 3) for path in named)


def _by_ptychodus(found: Survey, entry: str) -> bool:
    return found.group(_at(entry, "ptychodus")) is not None


def _is_there(found: Survey, path: str) -> bool:
    return found.has(path) or found.fault(path) is not None


def _first(found: Survey, paths: Collection[str]) -> str | None:
    return next((path for path in paths if _is_there(found, path)), None)


def _distinct(found: Survey, paths: Collection[str]) -> list[str]:
    """Return the paths without those that lead to the same dataset as an earlier one."""
    once: dict[Any, str] = {}
    for path in paths:
        once.setdefault(found.dataset(path).id if found.has(path) else path, path)
    return list(once.values())


def forms(entry: str, place: str) -> tuple[str, ...]:
    """Return a place of CXI under an entry, and the same without numbers, as NeXus has it."""
    return tuple(dict.fromkeys((_at(entry, place), _at(entry, place.replace("_1", "")))))


def _at(entry: str, place: str) -> str:
    return f"{entry}/{place}".strip("/")


def _listed(paths: Collection[str]) -> str:
    *most, last = (shown(path) for path in paths)
    return f"{', '.join(most)} and {last}" if most else last
