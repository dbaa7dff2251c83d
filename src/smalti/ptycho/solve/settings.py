"""The settings of the solver, with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smalti.errors import Refused
from smalti.ptycho.losses import LOSSES, LossName


@dataclass(frozen=True, slots=True)
class SolverSettings:
    """The settings of a reconstruction; the defaults suit a simulated scan with a good probe guess.

    Measured patterns are usually fitted better with the loss ``absolute``, several ``probe_modes``, and positions
    refined after a few epochs.

    Raises:
        Refused: fewer than 1 epoch or pattern per batch, an unknown loss, or a position range that the padding does
            not cover.
    """

    epochs: int = 60  # passes over all patterns
    batch: int = 16  # patterns per step
    seed: int = 0  # decides the order of the patterns
    loss: LossName = "amplitude"  # or absolute, or poisson
    object_rate: float = 4e-2  # initial step of the object, whose magnitude is near 1
    probe_rate: float = 4e-2  # initial step of the pupil, relative to its root mean square
    refine_probe: bool = True  # whether the pupil is refined too
    search_probe: bool | None = None  # search for the probe first, ``search.find_probe``; None: if there is no guess
    probe_modes: int | None = None  # modes that add in intensity; None: as many as the probe guess has
    refine_positions_from: int | None = None  # first epoch, counted from 1, that refines positions; None: none does
    position_rate_px: float = 0.1  # initial step of a position
    position_range_px: float = 4.0  # largest correction of a position along each axis
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
            Refused: an unknown name, or what the class refuses.
        """
        try:
            return cls(**fields)
        except TypeError as error:
            known = ", ".join(cls.__dataclass_fields__)
            raise Refused(f"the settings {sorted(fields)} do not fit the solver; it knows {known}.") from error
