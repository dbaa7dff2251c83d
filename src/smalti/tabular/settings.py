"""The settings of a BERT that is trained on a table, with their defaults and help texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from smalti.canonical import Json
from smalti.errors import Refused
from smalti.training import TrainingSettings


@dataclass(frozen=True, slots=True)
class BertSettings:
    """The settings of tokens, network and training; every checkpoint records them.

    Raises:
        Refused: a number outside its range, heads that do not divide the width, or what ``TrainingSettings`` refuses.
    """

    hidden_size: int = field(default=32, metadata={"help": "width of a token"})
    layers: int = field(default=2, metadata={"help": "encoder layers"})
    heads: int = field(default=4, metadata={"help": "attention heads; divides hidden_size"})
    intermediate_size: int = field(default=64, metadata={"help": "width between the matrices of a feed-forward block"})
    dropout: float = field(default=0.1, metadata={"help": "fraction of embeddings and of block outputs set to 0"})
    unknown: float = field(
        default=0.02, metadata={"help": "fraction of training tokens made [UNK], so that what is new can be predicted"}
    )
    members: int = field(default=2, metadata={"help": "networks trained side by side, whose mean predicts"})
    linear_share: float = field(
        default=0.5, metadata={"help": "share of a linear model in each prediction; 0: the networks alone"}
    )
    max_distinct: int = field(
        default=8, metadata={"help": "numbers of one label that have a token each, if they are no more"}
    )
    bins: int = field(default=8, metadata={"help": "bins of the numbers of one label that are more, each a token"})
    min_count: int = field(default=3, metadata={"help": "training rows that a clause or word must be in to be a token"})
    max_vocabulary: int = field(default=20_000, metadata={"help": "tokens at most; the most frequent are kept"})
    max_length: int = field(default=256, metadata={"help": "tokens of a text at most; what is beyond is cut"})
    epochs: int = field(default=15, metadata={"help": "passes over the training rows, at most"})
    batch: int = field(default=32, metadata={"help": "rows per batch; ``accumulate`` batches make a step"})
    accumulate: int = field(default=1, metadata={"help": "batches whose gradients are averaged for one step"})
    learning_rate: float = field(default=1e-3, metadata={"help": "peak learning rate of AdamW"})
    weight_decay: float = field(default=1e-2, metadata={"help": "weight decay of AdamW"})
    warmup: float = field(default=0.02, metadata={"help": "fraction of all steps in which the learning rate rises"})
    label_smoothing: float = field(default=0.0, metadata={"help": "share of a class label spread over all classes"})
    patience: int = field(
        default=0, metadata={"help": "epochs without a better metric after which training stops; 0: it does not"}
    )
    metric: str = field(default="validation_loss", metadata={"help": "the metric that says which checkpoint is best"})
    predict_with: str = field(
        default="last", metadata={"help": "the weights that predict: last, of the last epoch, or best, by the metric"}
    )
    seed: int = field(default=0, metadata={"help": "seed of initial weights, order of rows and every random number"})

    def __post_init__(self) -> None:
        lowest = {"hidden_size": 1, "layers": 1, "heads": 1, "intermediate_size": 1, "members": 1}
        for name, least in {
            **lowest,
            "max_distinct": 0,
            "bins": 1,
            "min_count": 1,
            "max_vocabulary": 4,
            "max_length": 2,
        }.items():
            if not getattr(self, name) >= least:
                raise Refused(f"{name} is {getattr(self, name)}; give at least {least}.")
        for name in ("dropout", "unknown", "label_smoothing", "linear_share"):
            if not 0 <= getattr(self, name) < 1:
                raise Refused(f"{name} is {getattr(self, name)}; give a fraction from 0 to below 1.")
        if self.predict_with not in ("last", "best"):
            raise Refused(f"predict_with is {self.predict_with!r}; take last or best.")
        if self.hidden_size % self.heads:
            raise Refused(f"{self.heads} heads do not divide a hidden_size of {self.hidden_size}; change one of them.")
        self.training()

    def training(self) -> TrainingSettings:
        """Return what the training loop takes of them; it evaluates after every epoch."""
        return TrainingSettings(
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            seed=self.seed,
            checkpoint_epochs=1,
            warmup=self.warmup,
            accumulate=self.accumulate,
            patience=self.patience,
            metric=self.metric,
        )

    @classmethod
    def from_request(cls, chosen: Mapping[str, Json]) -> BertSettings:
        """Return the defaults with what was ``chosen``.

        Raises:
            Refused: a name that is no setting, listing those that are, a value of another type, or what the class
                refuses.
        """
        known = {f.name: f for f in fields(cls)}
        if unknown := sorted(set(chosen) - set(known)):
            raise Refused(f"{', '.join(unknown)} is no setting of this BERT; there are {', '.join(known)}.")
        for name, value in chosen.items():
            wanted = type(known[name].default)
            fits = isinstance(value, int | float if wanted is float else wanted) and not isinstance(value, bool)
            if not fits:
                raise Refused(f"{name} is {value!r}; give {_KINDS[wanted]}.")
        return cls(**chosen)  # type: ignore[arg-type]


_KINDS: dict[type, str] = {int: "a whole number", float: "a number", str: "a text"}
