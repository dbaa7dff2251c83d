"""Where a loader is in its data, as JSON, and whether a state belongs to the data at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from smalti.errors import Refused

FORMAT = 1


@dataclass(frozen=True, slots=True)
class LoaderState:
    """A place in an order of samples.

    Attributes:
        position: samples of the epoch that all ranks together have been given.
        samples: of the dataset; None where it does not say.
        digests: name -> digest of what is read, where it is known.
        window: samples that are shuffled among each other, and that a range has, where the order depends on these.
    """

    epoch: int
    position: int
    samples: int | None
    shuffle: bool
    seed: int
    digests: dict[str, str] = field(default_factory=dict)
    window: tuple[int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return values that JSON holds."""
        return {"format": FORMAT, **asdict(self), "window": None if self.window is None else list(self.window)}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> LoaderState:
        """Return the state that ``to_json`` gave.

        Raises:
            Refused: it is none.
        """
        names = {f.name for f in fields(cls)}
        if state.get("format") != FORMAT or not names <= state.keys():
            raise Refused(f"this is no state of a loader in format {FORMAT}: it has the keys {sorted(state)}.")
        window = state["window"]
        found = {name: state[name] for name in names}
        return cls(**{**found, "digests": dict(state["digests"]), "window": None if window is None else tuple(window)})

    def check(self, here: LoaderState) -> None:
        """
        Raises:
            Refused: this state is of other data, or of another order, than ``here``.
        """
        differing = {
            name: (getattr(self, name), getattr(here, name))
            for name in ("samples", "shuffle", "digests", "window", *(["seed"] if here.shuffle else []))
            if getattr(self, name) != getattr(here, name)
        }
        if differing:
            words = "; ".join(
                f"{name} is {theirs} in the state and {ours} here" for name, (theirs, ours) in differing.items()
            )
            raise Refused(f"the state was saved with other data or another order: {words}; resume with the same.")
        if here.samples is not None and not 0 <= self.position <= here.samples:
            raise Refused(f"the state is after {self.position} samples, but there are {here.samples}.")
