"""Where the probe was, out of the translations in a CXI or NeXus file: whose they are, along which axes, in metres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation, shown
from smalti.formats.hdf5 import nexus
from smalti.formats.hdf5.cxi import Layout, forms
from smalti.formats.hdf5.survey import Survey

_MOST_AXES = 16
_BASIS = "basis_vectors"
_LARGEST_NBYTES = 1 << 26  # x, y and z of two million patterns
_LEAST_SINE = 0.5  # between the two directions of a detector; less is no detector

Vectors = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Motion:
    """Positions in metres, +x along increasing columns of the detector and +y along its increasing rows.

    CXI defines a translation of the sample; Ptychodus writes that of the probe there. They are mirror images and no
    value tells them apart, so both come, the one that the file speaks for last, and a card chooses.

    Attributes:
        arrays: ``positions_if_probe_moved`` and ``positions_if_sample_moved``, (N, 2) each: x, y.
        conversions: what was done, in words.
        violations: warnings about what is there and was not used.
        used: the datasets that were looked at.
    """

    arrays: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    conversions: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()
    used: tuple[str, ...] = ()


def motion(found: Survey, layout: Layout) -> Motion | Violation:
    """Return the positions, or why a translation that is there cannot be read."""
    basis, violations = _basis(found, layout)
    chain = () if layout.translation else _chain(found, layout)
    if isinstance(chain, Violation):
        return Motion({}, violations=(*violations, chain))
    used = (f"{layout.detector}/{_BASIS}", *((layout.translation,) if layout.translation else chain))
    moved = _translation(found, layout.translation) if layout.translation else _by_axes(found, chain)
    if isinstance(moved, Violation):
        return moved if layout.translation else Motion({}, violations=(*violations, moved))
    if moved is None:
        return Motion({}, violations=violations, used=used)
    across = moved[:, :2] if basis is None else _along(moved, basis)
    by_sample = not layout.by_ptychodus and "sample" in found.place(used[1]).rpartition("/")[0]
    names = ("positions_if_probe_moved", "positions_if_sample_moved")
    arrays = {names[0]: across, names[1]: -across}
    if layout.by_ptychodus:
        arrays = {name: arrays[name] for name in reversed(names)}
    axes = "its x and y" if basis is None else "the columns and rows of the detector"
    whose = ", which the file has as the sample's" if by_sample else ""
    note = f"positions in m along {axes}, out of {shown(used[1])}{whose}"
    return Motion(arrays, (note,), violations, used)


def _translation(found: Survey, path: str) -> Vectors | Violation:
    place = f"dataset {shown(path)}"
    if fault := found.fault(path):
        return fault
    dataset = found.dataset(path)
    if dataset.ndim != 2 or dataset.shape[1] not in (2, 3):
        remedy = "save x, y and z of each pattern in one row"
        return Violation("array.rank", place, f"shape {dataset.shape}", "shape (N, 3), in m", remedy)
    factor = nexus.unit_factor(dataset, path, "length")
    values = nexus.numbers(found, path, _LARGEST_NBYTES)
    if isinstance(factor, Violation):
        return factor
    if isinstance(values, Violation):
        return values
    return np.pad(values * factor[0], ((0, 0), (0, 3 - values.shape[1])))


def _basis(found: Survey, layout: Layout) -> tuple[tuple[Vectors, Vectors] | None, tuple[Violation, ...]]:
    """Return the directions in space of increasing columns and of increasing rows, as vectors of length 1."""
    path = f"{layout.detector}/{_BASIS}"
    if layout.detector and found.has(path):
        values = nexus.finite_numbers(found, path)
        if not isinstance(values, Violation) and values.shape in ((3, 2), (2, 3)):
            row, column = (nexus.unit_vector(v) for v in (values.T if values.shape == (3, 2) else values))
            if row is not None and column is not None and _is_plane(column, row):
                return (column, row), ()
        remedy = "correct it; positions are taken along x and y as they are"
        wanted = "two directions in space, of rows and of columns"
        found_there = f"shape {found.dataset(path).shape}" if isinstance(values, Violation) else f"{values.tolist()}"
        return None, (
            Violation("cxi.basis_vectors", f"dataset {shown(path)}", shown(found_there), wanted, remedy, "warning"),
        )
    for module in nexus.of_class(found, layout.detector, "NXdetector_module") if layout.detector else ():
        names = [f"{module}/{name}_pixel_direction" for name in ("fast", "slow")]
        fast, slow = (nexus.vector(found.dataset(name)) if found.has(name) else None for name in names)
        if fast is not None and slow is not None and _is_plane(fast, slow):
            return (fast, slow), ()
    return None, ()


def _is_plane(one: Vectors, other: Vectors) -> bool:
    return bool(np.linalg.norm(np.cross(one, other)) > _LEAST_SINE)


def _along(moved: Vectors, basis: tuple[Vectors, Vectors]) -> Vectors:
    """Return how far each translation leads along two directions; a component that they do not have adds nothing."""
    return np.stack([sum(moved[:, i] * unit[i] for i in range(3) if unit[i]) for unit in basis], axis=1)


def _chain(found: Survey, layout: Layout) -> tuple[str, ...] | Violation:
    """Return the axes that the sample stands on by its NXtransformations; none where it has no such."""
    sample = next((path for path in forms(layout.entry, "sample_1") if found.group(path) is not None), None)
    at = _next(nexus.word(found, f"{sample}/depends_on"), sample) if sample else None
    axes: list[str] = []
    while at is not None:
        if not found.has(at):
            return _unknown(at, "nothing in this file", "an axis")
        if len(axes) == _MOST_AXES:
            return _unknown(axes[0], f"more than {_MOST_AXES} axes that depend on one another", "a chain that ends")
        axes.append(at)
        at = _next(nexus.text(found.dataset(at), "depends_on"), at.rpartition("/")[0])
    return tuple(axes)


def _by_axes(found: Survey, chain: tuple[str, ...]) -> Vectors | Violation | None:
    """Return the sum of the translations by the axes, (N, 3) in metres; None where nothing moves."""
    parts = []
    for path in chain:
        part = _axis(found, path)
        if isinstance(part, Violation):
            return part
        parts.append(part)
    lengths = sorted({len(part) for part in parts} - {1})
    if len(lengths) > 1:
        found_there = f"axes of {' and '.join(map(str, lengths))} values"
        return _unknown(chain[0], found_there, "one value for each pattern")
    return np.sum(np.broadcast_arrays(*parts), axis=0) if lengths else None


def _axis(found: Survey, path: str) -> Vectors | Violation:
    """Return the translation by one axis, (N, 3) or (1, 3) in metres."""
    dataset = found.dataset(path)
    kind, values = nexus.text(dataset, "transformation_type"), nexus.finite_numbers(found, path)
    if isinstance(values, Violation):
        return _unknown(path, values.found, values.wanted)
    if kind == "rotation" and not values.any():
        return np.zeros((1, 3))
    along = nexus.vector(dataset)
    factor = nexus.unit_factor(dataset, path, "length")
    if kind != "translation" or along is None or values.ndim > 1 or isinstance(factor, Violation):
        return _unknown(path, f"a transformation of type {shown(str(kind))}", "a translation with a vector and a unit")
    return values.reshape(-1, 1) * factor[0] * along


def _next(said: str | None, here: str) -> str | None:
    """Return the path of the axis that another depends on; None where the chain ends."""
    if said is None or said.strip() in (".", ""):
        return None
    return said.strip("/") if said.startswith("/") else f"{here}/{said}"


def _unknown(path: str, found: str, wanted: str) -> Violation:
    remedy = "name the positions in the card; these were not used"
    return Violation("nexus.transformations", f"dataset {shown(path)}", found, wanted, remedy, "warning")
