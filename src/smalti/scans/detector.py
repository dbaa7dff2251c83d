"""From what a detector wrote to amplitude: masks and codes become bad pixels, counts their root, DC centred."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from smalti.contracts.violation import Violation
from smalti.scans import inference
from smalti.scans.beam import dc_of
from smalti.scans.detector_codes import find_codes
from smalti.scans.draft import Draft
from smalti.scans.masks import Mask, hidden_light, light_of, read_mask

_INDEXES_SHOWN = 6


def steps_of_the_detector(cast: Callable[[Draft], Draft]) -> tuple[Callable[[Draft], Draft], ...]:
    """Return the steps in order; ``cast`` comes between those on the file's own numbers and those on canonical ones."""
    return _mask_as_truth, _mask_codes, cast, _silence_bad_pixels, _name_empty_patterns, _to_amplitude, _centre_dc


def _mask_as_truth(draft: Draft) -> Draft:
    """A mask in any usual convention becomes true where a pixel is bad."""
    mask, patterns = draft.arrays.get("bad_pixels"), draft.arrays.get("diffraction")
    if mask is None:
        return draft
    if mask.ndim == 3 and len(mask) and (mask == mask[0]).all():
        draft = draft.converted("bad_pixels", mask[0], f"one of {len(mask)} equal masks")
        mask = mask[0]
    measures = patterns is not None and patterns.ndim == 3 and patterns.dtype.kind in "fiu" and patterns.size
    light = light_of(patterns) if patterns is not None and measures and patterns.shape[1:] == mask.shape else None
    read = read_mask(mask, draft.mask_name, draft.reading.mask.convention, light, draft.card_name)
    if isinstance(read, Violation):
        return draft.without("bad_pixels").violating(read)
    if not isinstance(read, Mask):
        return draft
    if read.note:
        draft = draft.converted("bad_pixels", read.bad, read.note)
    return draft.violating(hidden_light(read, light, draft.card_name)) if light is not None else draft


def _mask_codes(draft: Draft) -> Draft:
    """Pixels that hold a code of the detector in every pattern become bad pixels, beside those of the file's mask."""
    patterns, mask = draft.arrays.get("diffraction"), draft.arrays.get("bad_pixels")
    if patterns is None or patterns.ndim != 3 or not patterns.size or patterns.dtype.kind not in "fiu":
        return draft
    plane = patterns.shape[1:]
    if mask is not None and (mask.shape != plane or mask.dtype.kind not in "biuf"):
        return draft
    known = np.zeros(plane, bool) if mask is None else np.asarray(mask != 0)
    found = find_codes(patterns, known, draft.reading.diffraction.codes, draft.card_name)
    draft = draft.violating(*found.violations)
    if not found.notes:
        return draft
    draft = replace(draft, arrays={**draft.arrays, "bad_pixels": found.bad})
    return draft.noted(*(f"bad_pixels: {note}" for note in found.notes))


def _silence_bad_pixels(draft: Draft) -> Draft:
    """What a pattern holds at a bad pixel becomes 0 before it is validated."""
    patterns, bad = draft.arrays.get("diffraction"), draft.arrays.get("bad_pixels")
    if patterns is None or bad is None or patterns.dtype.kind not in "fiu" or patterns.shape[1:] != bad.shape:
        return draft
    if not draft.sound("bad_pixels") or bad.all() or not patterns[:, bad].any():
        return draft
    silent = np.where(bad, patterns.dtype.type(0), patterns)
    return draft.converted("diffraction", silent, f"set to 0 at the {int(bad.sum())} bad pixels")


def _name_empty_patterns(draft: Draft) -> Draft:
    """Patterns of nothing but zeros are named: a shutter was closed, or they were never written."""
    if not draft.sound("diffraction"):
        return draft
    patterns = draft.arrays["diffraction"]
    empty = np.flatnonzero(~patterns.any(axis=(1, 2)))
    if not len(empty):
        return draft
    first = ", ".join(map(str, empty[:_INDEXES_SHOWN].tolist()))
    found = (
        f"{len(empty)} of {len(patterns)} patterns that are nothing but zeros "
        f"({first}{', ...' if len(empty) > _INDEXES_SHOWN else ''})"
    )
    remedy = "leave them and their positions out, if they were never written or the shutter was closed"
    index = (int(empty[0]),)
    warning = Violation("diffraction.empty_patterns", "diffraction", found, "measured ones", remedy, "warning", index)
    return draft.violating(warning)


def _to_amplitude(draft: Draft) -> Draft:
    if not draft.sound("diffraction"):
        return draft
    patterns = draft.arrays["diffraction"]
    seen = inference.quantity_of(patterns, far_field=draft.far_field)
    draft, quantity = draft.resolved(inference.QUANTITY, draft.reading.diffraction.quantity, seen)
    if quantity != "counts":
        return draft
    return draft.converted("diffraction", np.sqrt(patterns), "counts to amplitude by the square root")


def _centre_dc(draft: Draft) -> Draft:
    """DC at pixel [0, 0] goes to [H//2, W//2]; a beam that is at neither stays where it is."""
    if not draft.sound("diffraction") or not draft.far_field:
        return draft
    seen, stated = dc_of(draft.arrays["diffraction"]), draft.reading.diffraction.dc
    if seen.says == "neither" and stated is None:
        remedy = "crop the patterns around the beam, or write reading.diffraction.dc: centre (or corner) in "
        remedy += draft.card_name
        wanted = "it at the centre or at [0, 0]; the patterns stay as they are"
        found = f"a beam at neither: {seen.because}"
        return draft.violating(Violation(inference.DC.code, "diffraction", found, wanted, remedy, "warning"))
    draft, dc = draft.resolved(inference.DC, stated, seen)
    if dc != "corner":
        return draft
    for key in ("diffraction", "bad_pixels"):
        if key in draft.arrays:
            shifted = np.fft.fftshift(draft.arrays[key], axes=(-2, -1))
            draft = draft.converted(key, shifted, "DC moved from the corner to the centre (fftshift)")
    return draft
