"""Physical values of a scan: what its file states, what its card states, and where the two differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import ScanMetadata, Stated, object_pixels_m, what_gives_object_pixels
from smalti.contracts.violation import Violation, shown
from smalti.formats.content import Content, Statement
from smalti.scans.card import Physics

FIELDS = tuple(name for name in Physics.model_fields if name not in ("far_field", "corrects_file"))
_SQUARE, _WIDTH, _HEIGHT = "detector_pixel_size_m", "detector_pixel_width_m", "detector_pixel_height_m"
_SAME = 1e-3  # relative: values are copied with three digits or more, and 1e-3 of the energy moves nothing by a pixel
_SAME_PIXEL = 1e-2  # of an object pixel that is stated and one that is computed


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the physics: values by field, what was decided in words, and what a person should hear."""

    values: Mapping[str, Stated]
    notes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()


def split_statements(content: Content) -> tuple[dict[str, NDArray[Any]], dict[str, Statement]]:
    """Return the arrays of a file, and the physical values that it states.

    A single positive number under the name of a physical field, unit included, is a statement too.
    """
    arrays, said = dict(content.arrays), dict(content.physics)
    for field in FIELDS:
        array = arrays.get(field)
        if array is not None and array.size == 1 and array.dtype.kind in "fiu":
            del arrays[field]
            said.setdefault(field, Statement(float(array.reshape(())), field))
    return arrays, {field: s for field, s in said.items() if np.isfinite(s.value) and s.value > 0}


def combined(physics: Physics, said: Mapping[str, Statement], card: str) -> Known:
    """Return what card and file know together.

    The card's value is taken; where the file states another one, that is refused with both numbers, unless the card
    says that its own is only assumed (the file's is taken) or that it corrects the file.

    Args:
        physics: of the card.
        said: by field, what the file states.
        card: file name of the card, for remedies.
    """
    stated = physics.stated()
    file = _one_form(said)
    values = dict(stated)
    notes: list[str] = []
    violations: list[Violation] = []
    dropped: set[str] = set()
    for field, statement in file.items():
        rivals = [name for name in _speaking_of(field) if name in stated]
        differing = [name for name in rivals if abs(stated[name].value / statement.value - 1) > _SAME]
        for name in differing:
            numbers = (
                f"{statement.value:g} ({shown(statement.place)}) in the file and {stated[name].value:g} in the card"
            )
            if physics.corrects_file:
                notes.append(f"{name}: {numbers}; the card corrects the file")
            elif stated[name].assumed:
                notes.append(f"{name}: {numbers}, where it is assumed; the file's is taken")
                dropped.add(name)
            else:
                remedy = (
                    f"correct physics.{name} in {card}, mark it assumed: true to take the file's, or write "
                    "physics.corrects_file: true to take the card's"
                )
                violations.append(Violation("physics.contradiction", name, numbers, "one value", remedy))
    for name in dropped:
        del values[name]
    unstated = [field for field in file if not any(name in values for name in _speaking_of(field))]
    for field in unstated:
        values[field] = Stated(value=file[field].value, note=f"stated by the file ({shown(file[field].place)})")
    return Known(values, tuple(notes), tuple(violations))


def fitness(metadata: ScanMetadata, plane: tuple[int, int], card: str) -> tuple[Violation, ...]:
    """Return warnings on what a scan without some physical value will not give, and on sizes that do not agree."""
    found: list[Violation] = []
    pixels = object_pixels_m(metadata, plane)
    if not metadata.far_field:
        needed = ("photon_energy_eV", "detector_distance_m", "object_pixel_size_m")
        if missing := [name for name in needed if getattr(metadata, name) is None]:
            remedy = f"state {' and '.join(missing)} under physics in {card}"
            what, wanted = f"a near-field scan without {' and '.join(missing)}", "what its reconstruction needs"
            found.append(Violation("physics.near_field", "the scan", what, wanted, remedy, "warning"))
    if pixels is None:
        wanted = "physics in the card that give one, for the product's metres"
        remedy = f"state {what_gives_object_pixels(metadata)} in {card}"
        found.append(_pixel_size("no object pixel size", wanted, remedy))
    elif abs(pixels[0].value / pixels[1].value - 1) > _SAME:
        what = f"object pixels {pixels[0].value:g} m wide and {pixels[1].value:g} m high"
        remedy = "bin the detector to square pixels, or expect a resolution and pictures in pixels only"
        found.append(_pixel_size(what, "square ones, for a resolution in m and pictures with a scale", remedy))
    return (*found, *pixel_contradiction(metadata, plane))


def pixel_contradiction(metadata: ScanMetadata, plane: tuple[int, int]) -> Iterator[Violation]:
    """Yield a warning where the stated object pixel is not the one that the far field gives, both of them measured."""
    stated = metadata.object_pixel_size_m
    computed = object_pixels_m(metadata.model_copy(update={"object_pixel_size_m": None}), plane)
    if stated is None or computed is None or stated.assumed or computed[0].assumed:
        return
    differing = [pixel for pixel in computed if abs(stated.value / pixel.value - 1) > _SAME_PIXEL]
    if differing:
        what = f"{stated.value:g} m stated and {differing[0].value:g} m from {differing[0].note}"
        remedy = "the stated one is taken; correct the one that is wrong"
        yield Violation("physics.contradiction", "object_pixel_size_m", what, "one value", remedy, "warning")


def _pixel_size(found: str, wanted: str, remedy: str) -> Violation:
    return Violation("physics.pixel_size", "the scan", found, wanted, remedy, "warning")


def _one_form(said: Mapping[str, Statement]) -> dict[str, Statement]:
    """Return statements with detector pixels either square or by width and height, never both."""
    file = dict(said)
    width, height = file.get(_WIDTH), file.get(_HEIGHT)
    if width and height and abs(width.value / height.value - 1) > _SAME:
        file.pop(_SQUARE, None)
        return file
    one = width or height
    for name in (_WIDTH, _HEIGHT):
        file.pop(name, None)
    if one:
        file.setdefault(_SQUARE, one)
    return file


def _speaking_of(field: str) -> tuple[str, ...]:
    """Return the fields that state the same thing as ``field``."""
    if field == _SQUARE:
        return (_SQUARE, _WIDTH, _HEIGHT)
    return (field, _SQUARE) if field in (_WIDTH, _HEIGHT) else (field,)
