"""A scan on its way from a file to canonical form: its arrays, and what was found and done so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from smalti.contracts.builtin.scan import ScanContract
from smalti.contracts.violation import Violation
from smalti.scans.card import Card, Reading
from smalti.scans.inference import Inference, Question, resolve

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """A scan on its way; each step returns a new one.

    Attributes:
        contract: what it shall keep.
        arrays: under the contract's keys.
        violations: what was found so far.
        card: what people say about the file.
        card_name: its file name, for remedies.
        mask_name: what the array of bad pixels is called in the file.
        conversions: what was done so far, in words.
    """

    contract: ScanContract
    arrays: Mapping[str, Array]
    violations: tuple[Violation, ...]
    card: Card | None
    card_name: str
    mask_name: str = "bad_pixels"
    conversions: tuple[str, ...] = ()

    @property
    def reading(self) -> Reading:
        """How the card says to read the file."""
        return self.card.reading if self.card else Reading()

    @property
    def far_field(self) -> bool:
        """Whether the detector is in the far field."""
        return self.card.physics.far_field if self.card else True

    @property
    def plane(self) -> tuple[int, int] | None:
        """(H, W) of a pattern, of the probe where there are no patterns, or None."""
        known = self.arrays.get("diffraction", self.arrays.get("probeGuess"))
        if known is None or known.ndim not in (2, 3) or ("diffraction" in self.arrays and known.ndim != 3):
            return None
        height, width = known.shape[-2:]
        return height, width

    def converted(self, key: str, array: Array, how: str) -> Draft:
        """Return the draft with another array, and what was done to it."""
        return replace(self, arrays={**self.arrays, key: array}).noted(f"{key}: {how}")

    def noted(self, *conversions: str) -> Draft:
        """Return the draft with more conversions."""
        return replace(self, conversions=(*self.conversions, *conversions))

    def without(self, *keys: str) -> Draft:
        """Return the draft without some arrays."""
        return replace(self, arrays={k: v for k, v in self.arrays.items() if k not in keys})

    def violating(self, *violations: Violation | None) -> Draft:
        """Return the draft with more violations."""
        return replace(self, violations=(*self.violations, *(v for v in violations if v is not None)))

    def resolved(self, question: Question, stated: str | None, seen: Inference) -> tuple[Draft, str | None]:
        """Return the draft with what a person should hear about a question, and the reading to take, if any."""
        reading, violation = resolve(question, stated, seen, self.card_name)
        return self.violating(violation), reading

    def sound(self, *keys: str) -> bool:
        """Tell whether these arrays are there and keep their own part of the contract."""
        return all(key in self.arrays and not any(self.contract.spec(key).breaches(self.arrays[key])) for key in keys)
