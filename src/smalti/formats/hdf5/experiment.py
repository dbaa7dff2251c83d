"""What a CXI or NeXus file states of its experiment: photon energy, distance, sizes of detector pixels, exposure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from smalti.contracts.violation import Violation, shown
from smalti.formats.content import Statement
from smalti.formats.hdf5 import nexus
from smalti.formats.hdf5.cxi import Layout, forms
from smalti.formats.hdf5.survey import Survey
from smalti.formats.hdf5.units import Quantity
from smalti.optics import photon_energy

# Places of photon energy or wavelength under the entry, each also without "_1". CXI has the photons' energy in
# source_1; NeXus has that of the storage ring there, which no photon has and which is therefore left alone.
_ENERGIES = (
    "instrument_1/beam_1/energy", "instrument_1/beam_1/incident_energy", "instrument_1/beam_1/incident_beam_energy",
    "instrument_1/monochromator_1/energy", "instrument_1/source_1/energy", "sample_1/beam_1/incident_energy",
)  # fmt: skip
_WAVELENGTHS = (
    "instrument_1/source_1/wavelength", "instrument_1/beam_1/wavelength", "instrument_1/beam_1/incident_wavelength",
    "instrument_1/monochromator_1/wavelength", "sample_1/beam_1/incident_wavelength",
)  # fmt: skip
_IN_DETECTOR: dict[str, tuple[Quantity, tuple[str, ...]]] = {
    "detector_distance_m": ("length", ("distance", "detector_distance")),
    "detector_pixel_width_m": ("length", ("x_pixel_size",)),
    "detector_pixel_height_m": ("length", ("y_pixel_size",)),
    "exposure_time_s": ("time", ("count_time", "exposure_time")),
}
# What an experiment can have; a number outside is in another unit than the file says.
_PLAUSIBLE = {
    "photon_energy_eV": (0.5, 1e6),
    "detector_distance_m": (1e-6, 1e3),
    "detector_pixel_width_m": (1e-8, 1e-2),
    "detector_pixel_height_m": (1e-8, 1e-2),
    "exposure_time_s": (1e-12, 1e6),
}
_STORAGE_RING_EV = 1e7
_ALIKE, _EQUAL = 1e-2, 1e-5  # of two statements of one value; of the two sizes of a square pixel


@dataclass(frozen=True, slots=True)
class Experiment:
    """What a file states of its experiment.

    Attributes:
        physics: name with its unit -> what is stated.
        violations: warnings about what is there and was not used.
        used: the datasets that were looked at.
    """

    physics: Mapping[str, Statement] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    used: tuple[str, ...] = ()


def experiment(found: Survey, layout: Layout) -> Experiment:
    """Return what the file states; a value that is unclear or contradicts another is not used, and that is said."""
    candidates = dict(_candidates(found, layout))
    physics: dict[str, Statement] = {}
    violations: list[Violation] = []
    for name in _PLAUSIBLE:
        stated: list[Statement] = []
        for path, quantity in ((path, q) for path, (own, q) in candidates.items() if own == name):
            answer = _statement(found, path, name, quantity)
            if isinstance(answer, Violation):
                violations.append(answer)
            elif answer is not None:
                stated.append(answer)
        if other := next((s for s in stated if not _agree(s.value, stated[0].value, _ALIKE)), None):
            values = f"{stated[0].value:g} in {stated[0].place} and {other.value:g} in {other.place}"
            remedy = f"write physics.{name} in the card; neither was used"
            violations.append(Violation("physics.contradiction", name, values, "one value", remedy, "warning"))
        elif stated:
            physics[name] = stated[0]
    return Experiment(_with_pixel_size(physics), tuple(violations), tuple(candidates))


def _candidates(found: Survey, layout: Layout) -> Iterator[tuple[str, tuple[str, Quantity]]]:
    """Yield path -> (name, quantity) of everything that may state something."""
    energies: tuple[tuple[tuple[str, ...], Quantity], ...] = ((_ENERGIES, "energy"), (_WAVELENGTHS, "length"))
    seen = set()
    for places, quantity in energies:
        for path in (path for place in places for path in forms(layout.entry, place)):
            if found.has(path) and found.place(path) not in seen:
                seen.add(found.place(path))
                yield path, ("photon_energy_eV", quantity)
    for name, (quantity, names) in _IN_DETECTOR.items():
        if path := next((p for p in (f"{layout.detector}/{n}" for n in names) if layout.detector and found.has(p)), ""):
            yield path, (name, quantity)


def _statement(found: Survey, path: str, name: str, quantity: Quantity) -> Statement | Violation | None:
    """Return the value, a warning that says why it is not used, or None where it is about something else."""
    values = nexus.finite_numbers(found, path)
    if isinstance(values, Violation):
        return _not_used(values)
    factor = nexus.unit_factor(found.dataset(path), path, quantity)
    if isinstance(factor, Violation):
        return _not_used(factor)
    place, value = f"dataset {shown(path)}", float(np.mean(values))
    if not _agree(float(values.min()), float(values.max()), _ALIKE):
        differing = f"values from {values.min():g} to {values.max():g} {factor[1]}"
        return _unclear("physics.not_one_value", place, differing, "one value for the scan", name)
    in_unit = value * factor[0]
    if name == "photon_energy_eV" and quantity == "length":
        in_unit = photon_energy(in_unit) if in_unit > 0 else 0.0
    if path.endswith("/energy") and in_unit >= _STORAGE_RING_EV and "units" in found.dataset(path).attrs:
        return None
    least, most = _PLAUSIBLE[name]
    if not least <= in_unit <= most:
        stated = f"{value:g} {factor[1]}{'' if 'units' in found.dataset(path).attrs else ' (no unit is given)'}"
        return _unclear("physics.implausible", place, stated, f"{name} of {least:g} to {most:g}", name)
    return Statement(in_unit, place)


def _with_pixel_size(physics: dict[str, Statement]) -> dict[str, Statement]:
    """Return the sizes as one where pixels are square; where the file gives one side only, the other is as long."""
    sides = [physics.pop(f"detector_pixel_{side}_m", None) for side in ("width", "height")]
    width, height = (side or next((other for other in sides if other), None) for side in sides)
    if width is None or height is None:
        return physics
    if _agree(width.value, height.value, _EQUAL):
        return {**physics, "detector_pixel_size_m": width}
    return {**physics, "detector_pixel_width_m": width, "detector_pixel_height_m": height}


def _agree(one: float, other: float, tolerance: float) -> bool:
    return abs(one - other) <= tolerance * max(abs(one), abs(other))


def _unclear(code: str, place: str, found: str, wanted: str, name: str) -> Violation:
    remedy = f"correct it, or write physics.{name} in the card; it was not used"
    return Violation(code, place, found, wanted, remedy, "warning")


def _not_used(fault: Violation) -> Violation:
    remedy = f"{fault.remedy}; it was not used"
    return Violation(fault.code, fault.place, fault.found, fault.wanted, remedy, "warning")
