"""Arrays out of an HDF5 file: products, CXI and NeXus, MATLAB 7.3, or arrays under names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import h5py
from numpy.typing import NDArray

from smalti.contracts.violation import Violation, shown
from smalti.formats.content import Content, Skipped, may_hold_positions
from smalti.formats.hdf5 import matlab
from smalti.formats.hdf5.chunks import nbytes_of
from smalti.formats.hdf5.cxi import Layout, layout_of
from smalti.formats.hdf5.dataset import REMEDY, WANTED, dtype_of, header_breaches, is_text, values_of
from smalti.formats.hdf5.experiment import Experiment, experiment
from smalti.formats.hdf5.masks import bad_pixels
from smalti.formats.hdf5.motion import Motion, motion
from smalti.formats.hdf5.superblock import require_closed
from smalti.formats.hdf5.survey import Survey, survey
from smalti.formats.source import Source

_RAW = "raw_data"  # the scan that PtychoPINN puts into a Ptychodus product
_UNASKED = "nobody asked for it"


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which datasets are read.

    Attributes:
        asked: name -> path; a fault of one of these refuses the file.
        offered: name -> path of small arrays that may hold positions and are sound.
        skipped: path -> why it is left out.
        masks: of the detector; a fault of one of these refuses the file too.
        wants_motion: whether positions are read out of translations or axes.
        translation: the dataset of the former, where there is one to read.
    """

    asked: dict[str, str] = field(default_factory=dict)
    offered: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    masks: tuple[str, ...] = ()
    wants_motion: bool = False
    translation: str | None = None

    def paths(self) -> tuple[str, ...]:
        """Return every dataset that is read."""
        translation = (self.translation,) if self.translation else ()
        return (*self.asked.values(), *self.offered.values(), *self.masks, *translation)

    def without(self, paths: Collection[str]) -> _Plan:
        """Return the plan without these offers."""
        return replace(self, offered={name: path for name, path in self.offered.items() if path not in paths})


def read(source: Source, wanted: Collection[str] | None = None) -> Content:
    """Return the arrays of the file under the names they have for a scan.

    Of a CXI or NeXus file: patterns, ``bad_pixels``, positions under both of their meanings, images, and what it states
    of the experiment. Of a Ptychodus product with a ``raw_data`` group, that group. Else datasets under their paths.

    With ``wanted``, only these and what CXI has for a scan are asked for. Of the rest, arrays that may hold positions
    (``may_hold_positions``) are read where they are sound, and everything else is skipped, never opened or followed.
    Without, everything is read that holds numbers, and what cannot be read refuses the file. Text is left out: it is
    metadata.
    """
    with _surveyed(source) as found:
        named = [path for path in (name.strip("/") for name in wanted or ()) if "/" in path and found.has(path)]
        layout = layout_of(found, named)
        plan = _plan(found, layout, wanted)
        source.require(_breaches(found, plan, source, limit_members=wanted is None))
        plan = _within_room(found, plan, source)
        source.claim("the file", _total_nbytes(found, plan.paths()), REMEDY, declared=True)
        stated = experiment(found, layout) if layout else Experiment()
        moved = _motion(found, layout, source) if layout and plan.wants_motion else Motion()
        arrays, notes = _read(found, plan.without(moved.used), source)
        if plan.masks:
            arrays["bad_pixels"] = bad_pixels(found, plan.masks)
        used = (*plan.paths(), *stated.used, *moved.used)
        return Content(
            {**arrays, **moved.arrays},
            stated.physics,
            tuple(_skipped(found, plan, used)),
            (*notes, *moved.conversions),
            (*stated.violations, *moved.violations),
        )


def names(source: Source) -> list[str]:
    """Return the path of every dataset in the file."""
    with _surveyed(source) as found:
        listed = found.paths()
    source.file.seek(0)
    return listed


@contextmanager
def _surveyed(source: Source) -> Iterator[Survey]:
    require_closed(source)
    with source.mapped("the file", WANTED), h5py.File(source.file, "r") as file:
        yield survey(file, source)


def _plan(found: Survey, layout: Layout | None, wanted: Collection[str] | None) -> _Plan:
    """Decide what is read, by names and headers alone."""
    plain = _plain(found)
    numbers = {name: path for name, path in plain.items() if not is_text(found.dataset(path))}
    asked = dict(layout.arrays) if layout else {}
    for name in sorted(set(wanted or ()) - plain.keys()):  # sets come in another order in every process
        path = name.strip("/")
        if found.fault(path) or (found.has(path) and not is_text(found.dataset(path))):
            asked.setdefault(name, path)
    faults = {path: fault.found for path, fault in found.faults().items()}
    if wanted is not None:
        chosen = {name: path for name, path in numbers.items() if name in wanted}
    else:
        chosen = {} if layout and layout.is_scan else {**{path: path for path in faults}, **numbers}
    asked.update({name: path for name, path in chosen.items() if name not in asked})
    wants_motion = layout is not None and not _knows_positions(found, asked, wanted)
    translation = layout.translation if layout and layout.translation and found.has(layout.translation) else None
    masks = layout.masks if layout else ()
    plan = _Plan(asked, {}, faults, masks, wants_motion, translation if wants_motion else None)
    room = found.source.limits.members - len(asked)
    offers = wanted is not None and (layout is None or layout.translation is None)
    for name, path in plain.items():
        if name not in numbers:
            plan.skipped[path] = "text"
        elif name in chosen:
            continue
        elif offers and len(plan.offered) < room and _is_offered(found, path):
            plan.offered[name] = path
        else:
            plan.skipped[path] = _why(found.dataset(path))
    return plan


def _within_room(found: Survey, plan: _Plan, source: Source) -> _Plan:
    """Return the plan without its offers, where with them the file would hold more than it may."""
    nbytes = _total_nbytes(found, plan.paths())
    full = any(source.expansion_breaches("the file", nbytes, source.stored_nbytes, REMEDY, declared=True))
    return plan.without(tuple(plan.offered.values())) if full else plan


def _skipped(found: Survey, plan: _Plan, used: Iterable[str]) -> Iterator[Skipped]:
    """Yield what was left out; another name of a dataset that was used is not."""
    known = {found.dataset(path).id for path in used if found.has(path)}
    for path, why in plan.skipped.items():
        if not (found.has(path) and found.dataset(path).id in known):
            yield Skipped(path, why)


def _plain(found: Survey) -> dict[str, str]:
    """Return name -> path of every dataset; of a product that carries a scan, of that scan alone."""
    paths = [path for path in found.paths() if path.partition("/")[0] not in matlab.INTERNAL]
    raw = {path.removeprefix(f"{_RAW}/"): path for path in paths if path.startswith(f"{_RAW}/")}
    return raw or {path: path for path in paths}


def _is_offered(found: Survey, path: str) -> bool:
    dataset = found.dataset(path)
    return _may_hold_positions(dataset) and not any(header_breaches(dataset, f"dataset {shown(path)}", found.source))


def _may_hold_positions(dataset: h5py.Dataset) -> bool:
    dtype = dtype_of(dataset)
    return dtype is not None and may_hold_positions(matlab.shape_of(dataset), dtype)


def _why(dataset: h5py.Dataset) -> str:
    """Say what it is that is skipped."""
    dtype = dtype_of(dataset)
    kind = "a type unknown to NumPy" if dtype is None else shown(str(dtype))
    if dataset.shape is None:
        return f"no values at all, and {_UNASKED}"
    return f"{kind} of shape {matlab.shape_of(dataset)}, and {_UNASKED}"


def _breaches(found: Survey, plan: _Plan, source: Source, limit_members: bool) -> Iterator[Violation]:
    if limit_members and len(plan.asked) > source.limits.members:
        count, most = f"{len(plan.asked)} datasets", f"at most {source.limits.members}"
        yield Violation("archive.members", "the file", count, most, "keep the arrays of one scan in a file")
    for path in (*plan.asked.values(), *plan.masks):
        if fault := found.fault(path):
            yield fault
        else:
            yield from header_breaches(found.dataset(path), f"dataset {shown(path)}", source)


def _read(found: Survey, plan: _Plan, source: Source) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Return the arrays and what was done to them, in words."""
    read_once: dict[h5py.h5d.DatasetID, tuple[NDArray[Any], str]] = {}  # hard links are many names of one dataset
    arrays, notes = {}, []
    for name, path in {**plan.asked, **plan.offered}.items():
        dataset = found.dataset(path)
        if dataset.id not in read_once:
            read_once[dataset.id] = values_of(dataset, f"dataset {shown(path)}", source)
        arrays[name], done = read_once[dataset.id]
        if done:
            notes.append(f"{shown(name)}: {done}")
    return arrays, notes


def _total_nbytes(found: Survey, paths: Iterable[str]) -> int:
    once = {dataset.id: dataset for dataset in map(found.dataset, paths)}
    return sum(nbytes_of(dataset) for dataset in once.values())


def _motion(found: Survey, layout: Layout, source: Source) -> Motion:
    """Return the positions; a translation that is there and cannot be read refuses the file."""
    moved = motion(found, layout)
    if isinstance(moved, Violation):
        raise source.broken(moved)
    return moved


def _knows_positions(found: Survey, asked: Mapping[str, str], wanted: Collection[str] | None) -> bool:
    """Tell whether positions are asked for by names of their own, so that no translation is."""
    if wanted is None or any(name.startswith("positions_if_") for name in wanted):
        return False
    in_groups = [path for name, path in asked.items() if "/" in name.strip("/") and found.has(path)]
    named = any(_may_hold_positions(found.dataset(path)) for path in in_groups)
    return named or {"xcoords", "ycoords"} <= asked.keys()
