"""From the arrays of a file to a scan in canonical form, each conversion recorded in words, none guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from smalti.codecs.scan import Scan, ScanMetadata, Stated, object_pixels_m, what_gives_object_pixels
from smalti.contracts.builtin.export import ExportContract
from smalti.contracts.builtin.scan import FOOTPRINT, SCAN, ScanContract
from smalti.contracts.parts import entries_of
from smalti.contracts.result import ValidationResult
from smalti.contracts.violation import Violation, errors, shown
from smalti.formats.content import Content
from smalti.scans import detector, inference, units
from smalti.scans.card import SUFFIX, Card, Physics
from smalti.scans.draft import Array, Draft
from smalti.scans.masks import mask_named
from smalti.scans.physics import combined, fitness, split_statements
from smalti.scans.positions import CXI, asked_for_positions, moving_otherwise, squeezed

_SMALLEST_OF_NETWORK_PX = 8  # smalti.models.ptychography.TOKENS_PER_SIDE


def conform(
    content: Content | Mapping[str, Array],
    card: Card | None = None,
    contract: ScanContract = SCAN,
    *,
    file_name: str = "scan.npz",
) -> ValidationResult:
    """Apply the card, convert legacy forms, and validate the result against the contract; pure.

    Where a card and the values leave two readings possible, the result has a violation that names both.

    Args:
        content: what a reader found in the file, or arrays under the file's names.
        card: what people say about the file, if anything.
        contract: the scan contract, one that asks for more, or one of an export, whose value is a mapping of the
            arrays, complex ones as wide as they were, with ``metadata`` as plain JSON.
        file_name: for messages, and for the scan's name where there is no card.
    """
    content = content if isinstance(content, Content) else Content(content)
    arrays, said = split_statements(content)
    arrays = {name: array for name, array in arrays.items() if name not in _left_aside(contract)}
    if card and (chosen := card.reading.positions.key) in arrays:  # of one translation, the other reading is no news
        arrays = {name: a for name, a in arrays.items() if not name.startswith(CXI) or name == chosen}
    card_name = shown(file_name) + SUFFIX
    physics = combined(card.physics if card else Physics(), said, card_name)
    named = dict(card.reading.names()) if card else {}
    mask_name = named.get("bad_pixels") or mask_named(arrays, _planes(arrays, named))
    if mask_name:
        named["bad_pixels"] = mask_name
    resolved, violations = contract.resolve(arrays, named)
    far_field = card.physics.far_field if card else True
    asked = asked_for_positions(violations, arrays, resolved, card_name, far_field=far_field)
    draft = Draft(
        contract,
        resolved,
        (*content.violations, *asked, *physics.violations),
        card,
        card_name,
        mask_name or "bad_pixels",
        (*content.conversions, *physics.notes, *_renamings(arrays, resolved)),
    )
    metadata = _metadata(draft, physics.values, file_name)
    steps: tuple[Callable[[Draft], Draft], ...] = (
        _split_positions,
        _drop_singleton_axes,
        _stack_first,
        _modes_first,
        detector.mask_as_truth,
        detector.mask_codes,
        _cast,
        detector.silence_bad_pixels,
        detector.name_empty_patterns,
        detector.to_amplitude,
        detector.centre_dc,
        lambda draft: _to_pixels(draft, metadata),
        _object_where_it_fits,
        _movement_of_images,
        _number,
    )
    draft = reduce(lambda draft, step: step(draft), steps, draft)
    metadata = _finished(metadata, draft)
    said_in_words = dict(entries_of(metadata.model_dump(mode="json", exclude_none=True)))
    known = {(v.code, v.place) for v in errors(draft.violations)}
    broken = (v for v in contract.check_arrays(draft.arrays, said_in_words) if (v.code, v.place) not in known)
    violations = (*draft.violations, *broken)
    skipped = tuple(f"{shown(skipped.name)}: {skipped.reason}" for skipped in content.skipped)
    if errors(violations):
        return ValidationResult(None, violations, draft.conversions, skipped)
    if not isinstance(contract, ExportContract):
        violations = (*violations, *_outlook(draft, metadata))
    return ValidationResult(_value(draft, metadata), violations, draft.conversions, skipped)


def _left_aside(contract: ScanContract) -> set[str]:
    """Return the names of those arrays of a scan that a contract does not ask for."""
    asked = {spec.key for spec in contract.arrays}
    return {name for spec in SCAN.arrays if spec.key not in asked for name in (spec.key, *spec.aliases)}


def _planes(arrays: Mapping[str, Array], named: Mapping[str, str]) -> set[tuple[int, ...]]:
    """Return the shapes that one pattern may have, by whichever axis counts the patterns."""
    for name in (named.get("diffraction"), "diffraction", "diff3d"):
        if (
            name is not None
            and name in arrays
            and (shape := tuple(n for n in arrays[name].shape if n != 1))
            and len(shape) in (2, 3)
        ):
            return {shape[-2:], shape[:2], shape[::2]} if len(shape) == 3 else {shape}
    return set()


def _renamings(arrays: Mapping[str, Array], resolved: Mapping[str, Array]) -> tuple[str, ...]:
    return tuple(
        f"{key}: named {shown(name)} in the file"
        for key, array in resolved.items()
        for name in arrays
        if arrays[name] is array and name != key and key not in arrays
    )


def _split_positions(draft: Draft) -> Draft:
    """One table of positions becomes two columns; of three, that of z is left out."""
    order = draft.reading.positions.order
    if order is None or "xcoords" not in draft.arrays:
        return draft
    raw = draft.arrays["xcoords"]
    table = squeezed(raw, 2)
    if table.ndim == 2 and table.shape[0] == len(order) != table.shape[1]:
        table = table.T
    if table.ndim != 2 or table.shape[1] != len(order):
        found, remedy = f"shape {raw.shape}", f"correct reading.positions in {draft.card_name}"
        place = shown(str(draft.reading.positions.key))
        violation = Violation("positions.columns", place, found, f"shape (N, {len(order)})", remedy)
        return draft.without("xcoords", "ycoords").violating(violation)
    for key, letter in (("xcoords", "x"), ("ycoords", "y")):
        column = order.index(letter)
        draft = draft.converted(key, table[:, column], f"column {column} of shape {table.shape}")
    return draft


def _drop_singleton_axes(draft: Draft) -> Draft:
    for key, array in draft.arrays.items():
        if key == "probeGuess" and (refused := _coherent_modes(draft)):
            draft = draft.without(key).violating(refused)
            continue
        rank = max((len(names) for names in draft.contract.spec(key).shapes), default=array.ndim)
        fewer = squeezed(array, rank)
        if fewer.ndim != array.ndim:
            how = f"axes of length 1 dropped, {array.shape} to {fewer.shape}"
            draft = draft.converted(key, fewer, how)
    return draft


def _coherent_modes(draft: Draft) -> Violation | None:
    """Return the violation of a probe with two axes of modes, the coherent ones of which are more than one.

    Ptychodus writes (coherent, incoherent, H, W) and PtychoShelves, transposed, (H, W, incoherent, coherent). Coherent
    modes are added with weights of their own for each position, incoherent ones in intensity: neither stands for the
    other, and a scan holds incoherent modes only.
    """
    probe, patterns = draft.arrays["probeGuess"], draft.arrays.get("diffraction")
    shape = probe.shape
    while len(shape) > 4 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) < 4:
        return None
    plane = squeezed(patterns, 3).shape[-2:] if patterns is not None and patterns.ndim >= 3 else shape[-2:]
    transposed = shape[-2:] != plane and shape[:2] == plane
    coherent = shape[-1] if transposed else shape[0]
    if coherent == 1 and len(shape) == 4:
        return None
    first = "probeGuess[..., 0]" if transposed else "probeGuess[0]"
    found = f"shape {probe.shape}, which has {coherent} coherent (OPR) modes; they are no incoherent modes"
    wanted = f"shape {draft.contract.spec('probeGuess').wanted_shape()} of incoherent modes"
    remedy = f"save {first}, its first coherent mode, or, if these modes are incoherent, save them on one axis"
    return Violation("probeGuess.coherent_modes", "probeGuess", found, wanted, remedy)


def _stack_first(draft: Draft) -> Draft:
    """(H, W, N) and (H, N, W) patterns become (N, H, W), and patches of the object that lie so with them."""
    patterns, xcoords = draft.arrays.get("diffraction"), draft.arrays.get("xcoords")
    if patterns is None or xcoords is None or patterns.ndim != 3:
        return draft
    seen = inference.stack_axis_of(patterns.shape, xcoords.size)
    draft, axis = draft.resolved(inference.STACK_AXIS, draft.reading.diffraction.stack_axis, seen)
    if axis in (None, "first"):
        return draft
    alike = [
        key
        for key in ("diffraction", "Y", "bad_pixels")
        if key in draft.arrays and draft.arrays[key].shape == patterns.shape
    ]
    for key in alike:
        moved = np.moveaxis(draft.arrays[key], 1 if axis == "middle" else -1, 0)
        draft = draft.converted(key, moved, f"{axis} axis moved to the front")
    return draft


def _modes_first(draft: Draft) -> Draft:
    """(H, W, P) modes become (P, H, W)."""
    patterns, probe = draft.arrays.get("diffraction"), draft.arrays.get("probeGuess")
    if probe is None or probe.ndim != 3 or (patterns is not None and patterns.ndim != 3):
        return draft
    stated = draft.reading.probe.mode_axis if draft.reading.probe else None
    seen = inference.mode_axis_of(probe.shape, None if patterns is None else patterns.shape[1:])
    draft, axis = draft.resolved(inference.MODE_AXIS, stated, seen)
    if axis != "last":
        return draft
    return draft.converted("probeGuess", np.moveaxis(probe, -1, 0), "last axis moved to the front")


def _cast(draft: Draft) -> Draft:
    """Any width and byte order becomes the canonical one; whole numbers may change their kind, never their value."""
    exported = isinstance(draft.contract, ExportContract)
    for key, array in draft.arrays.items():
        spec = draft.contract.spec(key)
        wanted = array.dtype if spec.dtype == "number" else np.dtype(spec.dtype)
        if exported and array.dtype.kind == wanted.kind == "c" and array.dtype.itemsize > wanted.itemsize:
            wanted = np.dtype(np.complex128)
        castable = {"f": "fiu", "c": "c", "i": "iuf", "b": "iuf"}.get(wanted.kind, "")
        if array.dtype == wanted or array.dtype.kind not in castable:
            continue
        with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite, the contract reports
            cast = array.astype(wanted)
        if wanted.kind not in "ib" or np.array_equal(cast, array):
            draft = draft.converted(key, cast, f"dtype {array.dtype} to {wanted}")
    return draft


def _to_pixels(draft: Draft, metadata: ScanMetadata) -> Draft:
    """Positions in a unit of length become object pixels; which unit they are in is asked where pixels cannot be."""
    if not draft.sound("xcoords", "ycoords"):
        return draft
    xcoords, ycoords = draft.arrays["xcoords"], draft.arrays["ycoords"]
    if xcoords.shape != ycoords.shape:
        return draft
    plane, positions = draft.plane, draft.reading.positions
    stated = positions.unit or ("m" if (positions.key or "").startswith(CXI) else None)  # as their reader gives them
    pixels = object_pixels_m(metadata, plane)
    spread = units.spread_of(xcoords, ycoords)
    window, pixel_m = max(plane or (1 << 30,)), max(p.value for p in pixels) if pixels else None
    unit, violation = units.resolve_unit(spread, stated, window, pixel_m, draft.card_name)
    draft = draft.violating(violation)
    if unit in (None, "px"):
        return draft
    if pixels is None:
        found, wanted = f"{units.WORDS[unit]} and no pixel size", "the size of an object pixel"
        remedy = f"state {what_gives_object_pixels(metadata)} under physics in {draft.card_name}"
        return draft.violating(Violation("positions.unit", units.PLACE, found, wanted, remedy))
    for key, pixel in zip(("xcoords", "ycoords"), pixels, strict=True):
        how = f"{units.WORDS[unit]} to pixels of {pixel.value:g} m{' (assumed)' if pixel.assumed else ''}"
        metres = draft.arrays[key] if unit == "m" else draft.arrays[key] * units.METRES[unit]
        draft = draft.converted(key, metres / pixel.value, how)
    return draft


def _object_where_it_fits(draft: Draft) -> Draft:
    """An object that the probes leave is not used, unless swapped positions would lie on it: then one is wrong."""
    if FOOTPRINT not in draft.contract.rules or not draft.sound(*FOOTPRINT.needs):
        return draft
    found = tuple(FOOTPRINT.breaches(draft.arrays))
    if not found or any("swapped" in violation.found for violation in found):
        return draft
    remedy = "the object is left out; to keep it, give positions in pixels from its first pixel"
    warnings = (replace(violation, severity="warning", remedy=remedy) for violation in found)
    key = FOOTPRINT.needs[-1]
    return draft.without(key).violating(*warnings).noted(f"{key}: left out, for the positions leave it")


def _movement_of_images(draft: Draft) -> Draft:
    """Where neighbouring patterns move as other positions would have them move, that is a warning."""
    if not draft.sound("diffraction", "xcoords", "ycoords"):
        return draft
    patterns, xcoords, ycoords = (draft.arrays[key] for key in ("diffraction", "xcoords", "ycoords"))
    if not len(patterns) == len(xcoords) == len(ycoords):
        return draft
    seen = moving_otherwise(patterns, xcoords, ycoords, far_field=draft.far_field)
    if seen is None:
        return draft
    found = f"positions and patterns that move as if {seen}"
    remedy = f"the positions are kept; correct reading.positions in {draft.card_name} if they were read wrongly"
    wanted = "patterns that move with their positions"
    return draft.violating(Violation("positions.movement", units.PLACE, found, wanted, remedy, "warning"))


def _number(draft: Draft) -> Draft:
    """Patterns without numbers get them in order."""
    if "scan_index" not in draft.arrays and draft.sound("diffraction"):
        count = len(draft.arrays["diffraction"])
        draft = draft.converted("scan_index", np.arange(count), f"absent, numbered 0 to {count - 1}")
    return draft


def _metadata(draft: Draft, values: Mapping[str, Stated], file_name: str) -> ScanMetadata:
    card = draft.card
    about = {field: getattr(card, field) for field in ("title", "source", "version", "licence")} if card else {}
    name = (card.name if card else None) or shown(file_name).split(".")[0]
    known = {"name": name, "far_field": draft.far_field, "contract": draft.contract.id}
    return ScanMetadata.model_validate({**about, **known, **values})


def _finished(metadata: ScanMetadata, draft: Draft) -> ScanMetadata:
    """Return the metadata with what the conversion has shown."""
    role = (draft.reading.object.role if draft.reading.object else "guess") if "objectGuess" in draft.arrays else None
    more = (f"{key}: checked and left out" for key in draft.arrays if key not in {spec.key for spec in SCAN.arrays})
    return metadata.model_copy(update={"object_role": role, "conversions": (*draft.conversions, *more)})


def _outlook(draft: Draft, metadata: ScanMetadata) -> tuple[Violation, ...]:
    """Return warnings on what this scan will not give, although it is accepted."""
    patterns = draft.arrays.get("diffraction")
    if patterns is None or patterns.ndim != 3:
        return ()
    height, width = patterns.shape[1:]
    found = list(fitness(metadata, (height, width), draft.card_name))
    remedy = "the scan is kept, but no run reconstructs it; call smalti.ptycho.solve.solver.solve"
    if len(patterns) == 1:
        what, wanted = "one pattern", "at least two, one to train a network on and one to validate it with"
        remedy_of_one = f"{remedy}, and do not expect one pattern alone to determine the object"
        found.append(Violation("diffraction.one_pattern", "diffraction", what, wanted, remedy_of_one, "warning"))
    if min(height, width) < _SMALLEST_OF_NETWORK_PX:
        what = f"patterns of {height} x {width}"
        wanted = f"at least {_SMALLEST_OF_NETWORK_PX} x {_SMALLEST_OF_NETWORK_PX} pixels, for the network"
        found.append(Violation("diffraction.too_small", "diffraction", what, wanted, remedy, "warning"))
    return tuple(found)


def _value(draft: Draft, metadata: ScanMetadata) -> Scan | dict[str, Any]:
    """Return the scan, or, of an export, the arrays by key with ``metadata`` as JSON."""
    arrays = {key: np.ascontiguousarray(array) for key, array in draft.arrays.items()}
    if "probeGuess" in arrays and arrays["probeGuess"].ndim == 2:
        arrays["probeGuess"] = arrays["probeGuess"][np.newaxis]
    if isinstance(draft.contract, ExportContract):
        return {**arrays, "metadata": metadata.model_dump(mode="json", exclude_none=True)}
    return Scan(
        diffraction=arrays["diffraction"],
        xcoords=arrays["xcoords"],
        ycoords=arrays["ycoords"],
        probe_guess=arrays.get("probeGuess"),
        object_guess=arrays.get("objectGuess"),
        scan_index=arrays["scan_index"],
        metadata=metadata,
        bad_pixels=arrays.get("bad_pixels"),
        patches=arrays.get("Y"),
    )
