"""The settings of a training run, with default and help text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from smalti.canonical import Json
from smalti.errors import Refused


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """The settings of the training loop; every checkpoint records them.

    Raises:
        Refused: fewer than 1 epoch, sample per step or epoch between checkpoints, a negative weight decay or seed, or
            a learning rate that is not above 0.
    """

    epochs: int = field(default=50, metadata={"help": "passes over the training samples"})
    batch: int = field(default=16, metadata={"help": "samples per step"})
    learning_rate: float = field(
        default=5e-3, metadata={"help": "peak learning rate of AdamW, before the cosine decay"}
    )
    weight_decay: float = field(default=1e-2, metadata={"help": "weight decay of AdamW"})
    seed: int = field(default=0, metadata={"help": "seed of initial weights, order of samples and every random number"})
    checkpoint_epochs: int = field(
        default=5, metadata={"help": "epochs between checkpoints, at which the validation loss is measured"}
    )

    def __post_init__(self) -> None:
        lowest = {"epochs": 1, "batch": 1, "weight_decay": 0, "seed": 0, "checkpoint_epochs": 1}
        for name, least in lowest.items():
            if getattr(self, name) < least:
                raise Refused(f"{name} is {getattr(self, name)}; give at least {least}.")
        if not self.learning_rate > 0:
            raise Refused(f"learning_rate is {self.learning_rate}; give a number above 0.")

    @classmethod
    def from_request(cls, chosen: Mapping[str, Json]) -> TrainingSettings:
        """Return the defaults with what was ``chosen``.

        Raises:
            Refused: a name that is no setting, listing those that are, or what the class refuses.
        """
        names = [f.name for f in fields(cls)]
        if unknown := sorted(set(chosen) - set(names)):
            raise Refused(f"{', '.join(unknown)} is no training setting; there are {', '.join(names)}.")
        return cls(**chosen)  # type: ignore[arg-type]
