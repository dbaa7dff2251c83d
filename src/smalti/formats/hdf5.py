"""Arrays out of an HDF5 file: products, CXI and NeXus, MATLAB 7.3, or arrays under names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation, shown
from smalti.formats import matlab
from smalti.formats.chunks import nbytes_of
from smalti.formats.content import Content, Skipped, may_hold_positions
from smalti.formats.cxi import Layout, layout_of
from smalti.formats.experiment import Experiment, experiment
from smalti.formats.hdf5_dataset import REMEDY, WANTED, dtype_of, header_breaches, is_text, values_of
from smalti.formats.hdf5_survey import Survey, survey
from smalti.formats.motion import Motion, motion
from smalti.formats.sniff import recognise
from smalti.formats.source import Source
from smalti.formats.superblock import require_closed

_RAW = "raw_data"  # the scan that PtychoPINN puts into a Ptychodus product
_HAS_SIGNAL = 0x1000  # the one bit of a CXI mask that speaks well of a pixel
_MASK = "bad_pixels"
_UNASKED = "nobody asked for it"


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which datasets are read, name -> path.

    Attributes:
        asked: a fault of one of these refuses the file.
        offered: small arrays that may hold positions; one with a fault is left out.
        skipped: path -> why it is left out.
    """

    asked: dict[str, str] = field(default_factory=dict)
    offered: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

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
        named = [name.strip("/") for name in wanted or () if "/" in name.strip("/")]
        named = [path for path in named if found.has(path)]
        layout = layout_of(found, named)
        plan = _plan(found, layout, wanted)
        source.require(_breaches(found, plan, source, limit_members=wanted is None))
        paths = (*plan.asked.values(), *plan.offered.values(), *filter(found.has, _translations(layout)))
        source.claim("the file", _total_nbytes(found, paths), REMEDY, declared=True)
        stated = experiment(found, layout) if layout else Experiment({}, (), ())
        moved = _motion(found, layout, source) if layout and not _knows_positions(found, plan, wanted) else Motion({})
        arrays, notes = _read(found, plan.without(moved.used), source)
        masks = [(path, arrays[path]) for path in layout.masks] if layout else []
        arrays = {name: array for name, array in arrays.items() if name not in dict(masks) or name in (wanted or ())}
        if masks:
            arrays[_MASK] = _bad_pixels(masks, source)
        used = {found.dataset(path).id for path in (*paths, *stated.used, *moved.used) if found.has(path)}
        return Content(
            {**arrays, **moved.arrays},
            stated.physics,
            tuple(Skipped(path, why) for path, why in plan.skipped.items() if not _is_in(found, path, used)),
            (*notes, *moved.conversions),
            (*stated.violations, *moved.violations),
        )


def names(source: Source) -> list[str]:
    """Return the path of every dataset in the file."""
    with _surveyed(source) as found:
        listed = found.paths()
    source.file.seek(0)
    return listed


def require_sound(source: Source, wanted: Collection[str] | None = None) -> None:
    """Validate the file as ``read`` does, and make room for what is asked for, but read none of its arrays.

    Args:
        wanted: paths of datasets that are going to be read; None: every dataset. What leads out of the file is
            refused in either case, because a plain HDF5 reader would follow it.

    Raises:
        ContractBroken: it is damaged, hostile, or still open for writing.
    """
    if (form := recognise(source)) != "hdf5":
        found_there, remedy = f"a file in the form {form}", "give an HDF5 file"
        raise source.refuse("file.format", "the file", found_there, "an HDF5 file", remedy)
    with _surveyed(source) as found:
        source.require(found.faults().values())
        paths = [path for path in found.paths() if not is_text(found.dataset(path))]
        plan = _Plan({path: path for path in paths if wanted is None or path in wanted})
        source.require(_breaches(found, plan, source, limit_members=wanted is None))
        source.claim("the file", _total_nbytes(found, plan.asked.values()), REMEDY, declared=True)


@contextmanager
def _surveyed(source: Source) -> Iterator[Survey]:
    require_closed(source)
    with source.mapped("the file", WANTED), h5py.File(source.file, "r") as file:
        yield survey(file, source)


def _plan(found: Survey, layout: Layout | None, wanted: Collection[str] | None) -> _Plan:
    """Decide what is read, by names and headers alone."""
    plan = _Plan(skipped={path: fault.found for path, fault in found.faults().items()})
    plain = _plain(found)
    numbers = {name: path for name, path in plain.items() if not is_text(found.dataset(path))}
    if layout is not None:
        plan.asked.update({**layout.arrays, **{path: path for path in layout.masks}})
    for name in sorted(set(wanted or ()) - plain.keys()):  # sets come in another order in every process
        path = name.strip("/")
        if found.fault(path) or (found.has(path) and not is_text(found.dataset(path))):
            plan.asked.setdefault(name, path)
    if wanted is not None:
        chosen = {name: path for name, path in numbers.items() if name in wanted}
    else:
        chosen = {} if layout is not None and layout.is_scan else {**{path: path for path in plan.skipped}, **numbers}
    plan.asked.update({name: path for name, path in chosen.items() if name not in plan.asked})
    room = found.source.limits.members - len(plan.asked)
    offers = wanted is not None and (layout is None or layout.translation is None)
    for name, path in plain.items():
        if name not in numbers:
            plan.skipped[path] = "text"
        elif name in chosen:
            continue
        elif offers and len(plan.offered) < room and _offered(found.dataset(path), path, found.source):
            plan.offered[name] = path
        else:
            plan.skipped[path] = _why(found.dataset(path))
    return plan


def _is_in(found: Survey, path: str, datasets: Collection[h5py.h5d.DatasetID]) -> bool:
    return found.has(path) and found.dataset(path).id in datasets


def _plain(found: Survey) -> dict[str, str]:
    """Return name -> path of every dataset; of a product that carries a scan, of that scan alone."""
    paths = [path for path in found.paths() if path.partition("/")[0] not in matlab.INTERNAL]
    raw = {path.removeprefix(f"{_RAW}/"): path for path in paths if path.startswith(f"{_RAW}/")}
    return raw or {path: path for path in paths}


def _offered(dataset: h5py.Dataset, path: str, source: Source) -> bool:
    dtype = dtype_of(dataset)
    if dtype is None or not may_hold_positions(matlab.shape_of(dataset), dtype):
        return False
    return not any(header_breaches(dataset, f"dataset {shown(path)}", source))


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
    for path in plan.asked.values():
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


def _knows_positions(found: Survey, plan: _Plan, wanted: Collection[str] | None) -> bool:
    """Tell whether positions are asked for by names of their own, so that no translation is."""
    if wanted is None or any(name.startswith("positions_if_") for name in wanted):
        return False
    datasets = {name: found.dataset(path) for name, path in plan.asked.items() if "/" in name.strip("/")}
    kinds = [(matlab.shape_of(dataset), dtype_of(dataset)) for dataset in datasets.values()]
    named = any(dtype is not None and may_hold_positions(shape, dtype) for shape, dtype in kinds)
    return named or {"xcoords", "ycoords"} <= plan.asked.keys()


def _translations(layout: Layout | None) -> tuple[str, ...]:
    return (layout.translation,) if layout and layout.translation else ()


def _bad_pixels(masks: list[tuple[str, NDArray[Any]]], source: Source) -> NDArray[np.bool_]:
    """Return where any mask of bit fields is bad; one mask for each pattern must say the same of all of them."""
    planes: list[NDArray[np.bool_]] = []
    for path, stored in masks:
        mask = stored
        while mask.ndim > 2 and len(mask) and (mask == mask[0]).all():
            mask = mask[0]
        if mask.ndim != 2 or mask.dtype.kind not in "iub" or (planes and mask.shape != planes[0].shape):
            shape, wanted = f"{mask.dtype} of shape {mask.shape}", "one (H, W) bit field for all patterns"
            remedy = "save the pixels that are bad in any pattern as one mask, or none"
            raise source.refuse("array.rank", f"dataset {shown(path)}", shape, wanted, remedy)
        planes.append((mask != 0) & (mask != _HAS_SIGNAL) if path.endswith("/mask") else mask != 0)
    return np.asarray(np.logical_or.reduce(planes))
