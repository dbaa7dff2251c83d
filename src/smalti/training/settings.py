"""What a person may choose about a training run, each choice with its default and its help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from smalti.canonical import Json
from smalti.errors import Refused


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """The settings of the training loop; they are kept in every checkpoint.

    Raises:
        Refused: a number no training can run with.
    """

    epochs: int = field(default=50, metadata={"help": "passes over the training samples"})
    batch: int = field(default=16, metadata={"help": "samples per step"})
    learning_rate: float = field(default=5e-3, metadata={"help": "highest step of AdamW, then a cosine down"})
    weight_decay: float = field(default=1e-2, metadata={"help": "pull of AdamW towards zero weights"})
    seed: int = field(default=0, metadata={"help": "decides first weights, order and every random number"})
    checkpoint_epochs: int = field(default=5, metadata={"help": "epochs between checkpoints, which are validated"})

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
            Refused: a name that is no setting, listing those that are.
        """
        names = [f.name for f in fields(cls)]
        if unknown := sorted(set(chosen) - set(names)):
            raise Refused(f"{', '.join(unknown)} is no training setting; there are {', '.join(names)}.")
        return cls(**chosen)  # type: ignore[arg-type]
