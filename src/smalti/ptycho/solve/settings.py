"""What a person may choose of the solver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smalti.errors import Refused
from smalti.ptycho.solve.losses import LOSSES, LossName


@dataclass(frozen=True, slots=True)
class SolverSettings:
    """The defaults suit a known probe, and one whose defocus is up to 40 % wrong.

    Measured patterns are explained better by the loss ``absolute``, and by several ``probe_modes`` with positions that
    are refined after a few epochs.

    Raises:
        Refused: a value that makes no sense.
    """

    epochs: int = 60  # passes over all patterns
    batch: int = 16  # patterns per step
    seed: int = 0  # decides the order of the patterns
    loss: LossName = "amplitude"  # or absolute, or poisson
    object_rate: float = 4e-2  # step of the object, which is near 1
    probe_rate: float = 4e-2  # step of the pupil, relative to its root mean square
    refine_probe: bool = True  # whether the pupil moves too
    search_probe: bool | None = None  # try probes first, ``search.find_probe``; for scans without a guess when left out
    probe_modes: int | None = None  # waves that add in intensity; as many as the probe guess has when left out
    refine_positions_from: int | None = None  # first epoch, counted from 1, that moves positions; none when left out
    position_rate_px: float = 0.1  # step of a position
    position_range_px: float = 4.0  # the farthest that a position moves
    padding: int = 12  # free pixels around the outermost patterns

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise Refused(f"{name} is {getattr(self, name)}; give at least 1.")
        if self.loss not in LOSSES:
            raise Refused(f"the loss is {self.loss!r}; take one of {', '.join(LOSSES)}.")
        if self.refine_positions_from is not None:
            if self.refine_positions_from < 1:
                raise Refused(f"refine_positions_from is {self.refine_positions_from}; epochs are counted from 1.")
            if not 0 < self.position_range_px <= self.padding - 1:
                raise Refused(
                    f"position_range_px is {self.position_range_px:g}, but positions may move by more than 0 and "
                    f"at most {self.padding - 1} pixels, one less than the padding."
                )

    @classmethod
    def from_request(cls, fields: Mapping[str, Any]) -> SolverSettings:
        """Return the settings with these fields.

        Raises:
            Refused: an unknown name, or a value that makes no sense.
        """
        try:
            return cls(**fields)
        except TypeError as error:
            known = ", ".join(cls.__dataclass_fields__)
            raise Refused(f"the settings {sorted(fields)} do not fit the solver; it knows {known}.") from error
