"""From the arrays of a file to a scan in canonical form, each conversion recorded in words, none guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan, ScanMetadata, Stated
from smalti.contracts.builtin.scan import SCAN, ScanContract
from smalti.contracts.parts import entries_of
from smalti.contracts.result import ValidationResult
from smalti.contracts.violation import Violation, errors, shown
from smalti.formats.content import Content
from smalti.optics import far_field_pixel_m
from smalti.scans import inference
from smalti.scans.card import SUFFIX, Card, Physics, Reading
from smalti.scans.inference import Evidence, Question
from smalti.scans.positions import asked_for_positions, squeezed

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class _Draft:
    """The arrays on their way, under the contract's keys; each step returns a new draft."""

    contract: ScanContract
    arrays: Mapping[str, Array]
    violations: tuple[Violation, ...]
    card: Card | None
    card_name: str
    conversions: tuple[str, ...] = ()

    @property
    def reading(self) -> Reading:
        return self.card.reading if self.card else Reading()

    @property
    def physics(self) -> Physics:
        return self.card.physics if self.card else Physics()

    def converted(self, key: str, array: Array, how: str) -> _Draft:
        notes = (*self.conversions, f"{key}: {how}")
        return replace(self, arrays={**self.arrays, key: array}, conversions=notes)

    def without(self, *keys: str) -> _Draft:
        return replace(self, arrays={k: v for k, v in self.arrays.items() if k not in keys})

    def violating(self, violation: Violation) -> _Draft:
        return replace(self, violations=(*self.violations, violation))

    def settled(self, question: Question, stated: str | None, seen: Evidence) -> tuple[_Draft, str | None]:
        """Return the draft and the reading settled on, or the draft with the violation and None."""
        answer = inference.settle(question, stated, seen, self.card_name)
        return (self.violating(answer), None) if isinstance(answer, Violation) else (self, answer)

    def sound(self, *keys: str) -> bool:
        """Tell whether these arrays are there and keep their own part of the contract."""
        return all(key in self.arrays and not any(self.contract.spec(key).breaches(self.arrays[key])) for key in keys)


def conform(
    content: Content | Mapping[str, Array],
    card: Card | None = None,
    contract: ScanContract = SCAN,
    *,
    file_name: str = "scan.npz",
) -> ValidationResult:
    """Apply the card, convert legacy forms, and judge the result by the contract; pure.

    Where a card and the values leave two readings possible, the outcome has a violation that names both.

    Args:
        content: what a reader found in the file, or arrays under the file's names.
        card: what people say about the file, if anything.
        contract: the scan contract, or one that asks for more.
        file_name: for messages, and for the scan's name where there is no card.
    """
    content = content if isinstance(content, Content) else Content(content)
    arrays = content.arrays
    resolved, violations = contract.resolve(arrays, card.reading.names() if card else None)
    card_name = shown(file_name) + SUFFIX
    violations = (*content.violations, *asked_for_positions(violations, arrays, resolved, card_name))
    draft = _Draft(
        contract, resolved, violations, card, card_name, (*content.conversions, *_renamings(arrays, resolved))
    )
    steps: tuple[Callable[[_Draft], _Draft], ...] = (
        _split_positions,
        _drop_singleton_axes,
        _stack_first,
        _modes_first,
        _cast,
        _silence_bad_pixels,
        _to_amplitude,
        _centre_dc,
        _to_pixels,
        _number,
    )
    draft = reduce(lambda draft, step: step(draft), steps, draft)
    metadata = _metadata(draft, file_name)
    said = dict(entries_of(metadata.model_dump(mode="json", exclude_none=True)))
    violations = (*draft.violations, *contract.judge(draft.arrays, said))
    scan = None if errors(violations) else _scan(draft, metadata)
    return ValidationResult(scan, violations, draft.conversions)


def _renamings(arrays: Mapping[str, Array], resolved: Mapping[str, Array]) -> tuple[str, ...]:
    return tuple(
        f"{key}: named {shown(name)} in the file"
        for key, array in resolved.items()
        for name in arrays
        if arrays[name] is array and name != key and key not in arrays
    )


def _split_positions(draft: _Draft) -> _Draft:
    """One (N, 2) table of positions becomes two columns."""
    positions = draft.reading.positions
    if positions.order is None or "xcoords" not in draft.arrays:
        return draft
    raw = draft.arrays["xcoords"]
    table = squeezed(raw, 2)
    if table.ndim != 2 or table.shape[1] != 2:
        found, remedy = f"shape {raw.shape}", f"correct reading.positions in {draft.card_name}"
        violation = Violation("positions.columns", shown(str(positions.key)), found, "shape (N, 2)", remedy)
        return draft.without("xcoords", "ycoords").violating(violation)
    for key, letter in (("xcoords", "x"), ("ycoords", "y")):
        column = positions.order.index(letter)
        draft = draft.converted(key, table[:, column], f"column {column} of shape {table.shape}")
    return draft


def _drop_singleton_axes(draft: _Draft) -> _Draft:
    for key, array in draft.arrays.items():
        rank = max((len(names) for names in draft.contract.spec(key).shapes), default=array.ndim)
        fewer = squeezed(array, rank)
        if fewer.ndim != array.ndim:
            how = f"axes of length 1 dropped, {array.shape} to {fewer.shape}"
            draft = draft.converted(key, fewer, how)
    return draft


def _stack_first(draft: _Draft) -> _Draft:
    """(H, W, N) patterns become (N, H, W), and the patches of the object, which lie as they do, with them."""
    patterns, xcoords = draft.arrays.get("diffraction"), draft.arrays.get("xcoords")
    if patterns is None or xcoords is None or patterns.ndim != 3:
        return draft
    seen = inference.stack_axis_of(patterns.shape, xcoords.size)
    draft, axis = draft.settled(inference.STACK_AXIS, draft.reading.diffraction.stack_axis, seen)
    if axis != "last":
        return draft
    alike = [key for key in ("diffraction", "Y") if key in draft.arrays and draft.arrays[key].shape == patterns.shape]
    for key in alike:
        draft = draft.converted(key, np.moveaxis(draft.arrays[key], -1, 0), "last axis moved to the front")
    return draft


def _modes_first(draft: _Draft) -> _Draft:
    """(H, W, P) modes become (P, H, W)."""
    patterns, probe = draft.arrays.get("diffraction"), draft.arrays.get("probeGuess")
    if patterns is None or probe is None or not patterns.ndim == probe.ndim == 3:
        return draft
    stated = draft.reading.probe.mode_axis if draft.reading.probe else None
    seen = inference.mode_axis_of(probe.shape, patterns.shape[1:])
    draft, axis = draft.settled(inference.MODE_AXIS, stated, seen)
    if axis != "last":
        return draft
    return draft.converted("probeGuess", np.moveaxis(probe, -1, 0), "last axis moved to the front")


def _cast(draft: _Draft) -> _Draft:
    """Any width and byte order becomes the canonical one; whole numbers may change their kind, never their value."""
    for key, array in draft.arrays.items():
        spec = draft.contract.spec(key)
        wanted = array.dtype if spec.dtype == "number" else np.dtype(spec.dtype)
        castable = {"f": "fiu", "c": "c", "i": "iuf", "b": "iuf"}.get(wanted.kind, "")
        if array.dtype == wanted or array.dtype.kind not in castable:
            continue
        with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite, the contract reports
            cast = array.astype(wanted)
        if wanted.kind not in "ib" or np.array_equal(cast, array):
            draft = draft.converted(key, cast, f"dtype {array.dtype} to {wanted}")
    return draft


def _silence_bad_pixels(draft: _Draft) -> _Draft:
    """What a detector writes where it measures nothing (-1, its largest number, NaN) becomes 0 before it is judged."""
    patterns, bad = draft.arrays.get("diffraction"), draft.arrays.get("bad_pixels")
    if patterns is None or bad is None or patterns.dtype.kind not in "fiu" or patterns.shape[1:] != bad.shape:
        return draft
    if not draft.sound("bad_pixels") or bad.all() or not patterns[:, bad].any():
        return draft
    silent = np.where(bad, patterns.dtype.type(0), patterns)
    return draft.converted("diffraction", silent, f"set to 0 at the {int(bad.sum())} bad pixels")


def _to_amplitude(draft: _Draft) -> _Draft:
    if not draft.sound("diffraction"):
        return draft
    patterns = draft.arrays["diffraction"]
    seen = inference.quantity_of(patterns, far_field=draft.physics.far_field)
    draft, quantity = draft.settled(inference.QUANTITY, draft.reading.diffraction.quantity, seen)
    if quantity != "counts":
        return draft
    return draft.converted("diffraction", np.sqrt(patterns), "counts to amplitude by the square root")


def _centre_dc(draft: _Draft) -> _Draft:
    if not draft.sound("diffraction") or not draft.physics.far_field:
        return draft
    patterns = draft.arrays["diffraction"]
    draft, dc = draft.settled(inference.DC, draft.reading.diffraction.dc, inference.dc_of(patterns))
    if dc != "corner":
        return draft
    for key in ("diffraction", "bad_pixels"):
        if key in draft.arrays:
            shifted = np.fft.fftshift(draft.arrays[key], axes=(-2, -1))
            draft = draft.converted(key, shifted, "DC moved from the corner to the centre (fftshift)")
    return draft


def _to_pixels(draft: _Draft) -> _Draft:
    if not draft.sound("xcoords", "ycoords"):
        return draft
    seen = inference.unit_of(draft.arrays["xcoords"], draft.arrays["ycoords"])
    draft, unit = draft.settled(inference.UNIT, draft.reading.positions.unit, seen)
    if unit != "m":
        return draft
    pixel = _object_pixel_m(draft)
    if pixel is None:
        remedy = f"write physics.object_pixel_size_m in {draft.card_name}"
        place, wanted = inference.UNIT.place, "the size of an object pixel"
        return draft.violating(Violation("positions.unit", place, "metres and no pixel size", wanted, remedy))
    for key in ("xcoords", "ycoords"):
        how = f"metres to pixels of {pixel.value:g} m{' (assumed)' if pixel.assumed else ''}"
        draft = draft.converted(key, draft.arrays[key] / pixel.value, how)
    return draft


def _object_pixel_m(draft: _Draft) -> Stated | None:
    """Return the pixel size that the card states, or what its energy, distance and pixel give in the far field."""
    physics = draft.physics
    energy, distance = physics.photon_energy_eV, physics.detector_distance_m
    detector, patterns = physics.detector_pixel_size_m, draft.arrays.get("diffraction")
    follows = physics.far_field and patterns is not None and patterns.ndim == 3
    if physics.object_pixel_size_m or not (follows and patterns is not None and energy and distance and detector):
        return physics.object_pixel_size_m
    size_m = far_field_pixel_m(energy.value, distance.value, detector.value, patterns.shape[-1])
    return Stated(value=size_m, assumed=any(part.assumed for part in (energy, distance, detector)))


def _number(draft: _Draft) -> _Draft:
    """Patterns without numbers get them in order."""
    if "scan_index" not in draft.arrays and draft.sound("diffraction"):
        count = len(draft.arrays["diffraction"])
        draft = draft.converted("scan_index", np.arange(count), f"absent, numbered 0 to {count - 1}")
    return draft


def _metadata(draft: _Draft, file_name: str) -> ScanMetadata:
    card, known = draft.card, draft.arrays
    role = (card.reading.object.role if card and card.reading.object else "guess") if "objectGuess" in known else None
    more = (f"{key}: checked and left out" for key in known if key not in {spec.key for spec in SCAN.arrays})
    return ScanMetadata(
        name=card.name if card else shown(file_name).split(".")[0],
        **({field: getattr(card, field) for field in ("title", "source", "version", "licence")} if card else {}),
        **dict(draft.physics),
        object_role=role,
        conversions=(*draft.conversions, *more),
        contract=draft.contract.id,
    )


def _scan(draft: _Draft, metadata: ScanMetadata) -> Scan:
    arrays = {key: np.ascontiguousarray(array) for key, array in draft.arrays.items()}
    probe = arrays.get("probeGuess")
    return Scan(
        diffraction=arrays["diffraction"],
        xcoords=arrays["xcoords"],
        ycoords=arrays["ycoords"],
        probe_guess=probe[np.newaxis] if probe is not None and probe.ndim == 2 else probe,
        object_guess=arrays.get("objectGuess"),
        scan_index=arrays["scan_index"],
        metadata=metadata,
        bad_pixels=arrays.get("bad_pixels"),
        patches=arrays.get("Y"),
    )
