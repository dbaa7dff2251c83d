"""The settings of a training run, with default and help text, and how often its state is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from smalti.canonical import Json
from smalti.errors import Refused
from smalti.training.metrics import direction


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """The settings of the training loop; every checkpoint records them.

    Raises:
        Refused: a number outside its range, or a metric whose better direction neither its name nor
            ``higher_is_better`` says.
    """

    epochs: int = field(default=50, metadata={"help": "passes over the training samples, at most"})
    batch: int = field(default=16, metadata={"help": "samples per batch; ``accumulate`` batches make a step"})
    learning_rate: float = field(
        default=5e-3, metadata={"help": "peak learning rate of AdamW, between the warm-up and the cosine decay"}
    )
    weight_decay: float = field(default=1e-2, metadata={"help": "weight decay of AdamW"})
    seed: int = field(default=0, metadata={"help": "seed of initial weights, order of samples and every random number"})
    checkpoint_epochs: int = field(
        default=5, metadata={"help": "epochs between evaluations, at which a checkpoint is saved, too"}
    )
    warmup: float = field(default=0.02, metadata={"help": "fraction of all steps in which the learning rate rises"})
    final_rate: float = field(
        default=0.02, metadata={"help": "where the cosine decay ends, as a fraction of the peak learning rate"}
    )
    accumulate: int = field(default=1, metadata={"help": "batches whose gradients are averaged for one step"})
    patience: int = field(
        default=0, metadata={"help": "evaluations without a better metric after which training stops; 0: it does not"}
    )
    metric: str = field(default="validation_loss", metadata={"help": "the metric that says which checkpoint is best"})
    higher_is_better: bool | None = field(
        default=None, metadata={"help": "whether more of the metric is better; by default its name says so"}
    )

    def __post_init__(self) -> None:
        lowest = {"epochs": 1, "batch": 1, "weight_decay": 0, "seed": 0, "checkpoint_epochs": 1, "accumulate": 1}
        for name, least in {**lowest, "patience": 0}.items():
            if not getattr(self, name) >= least:
                raise Refused(f"{name} is {getattr(self, name)}; give at least {least}.")
        if not self.learning_rate > 0:
            raise Refused(f"learning_rate is {self.learning_rate}; give a number above 0.")
        for name in ("warmup", "final_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise Refused(f"{name} is {getattr(self, name)}; give a fraction from 0 to 1.")
        direction(self.metric, self.higher_is_better)

    @property
    def more_is_better(self) -> bool:
        """Whether more of ``metric`` is better."""
        return direction(self.metric, self.higher_is_better)

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


@dataclass(frozen=True, slots=True)
class Saving:
    """How often the state of a run is saved; no bit of the result depends on it.

    Attributes:
        every_steps: steps between saved states; None: not counted.
        every_s: seconds between saved states; None: not timed.
        at_evaluations: whether it is saved at every evaluation, too.
        keep_last: newest states that are kept, where they are kept by number.

    Raises:
        Refused: less than 1 step or state, or no time at all.
    """

    every_steps: int | None = None
    every_s: float | None = 60.0
    at_evaluations: bool = True
    keep_last: int = 2

    def __post_init__(self) -> None:
        for name in ("every_steps", "keep_last"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise Refused(f"{name} is {value}; give at least 1.")
        if self.every_s is not None and not self.every_s > 0:
            raise Refused(f"every_s is {self.every_s}; give a number of seconds above 0.")

    def is_due(self, steps: int, seconds: float) -> bool:
        """Tell whether to save after so many steps and seconds since the last save."""
        return (self.every_steps is not None and steps >= self.every_steps) or (
            self.every_s is not None and seconds >= self.every_s
        )


AT_EVALUATIONS = Saving(every_s=None)
EVERY_MINUTE = Saving(every_s=60.0)
