"""The training loop: deterministic, and resumable from the state of any step to the same bits.

No random generator keeps a state: the random numbers of a step are seeded by (seed, epoch, step), the order of an epoch
by (seed, epoch). So a checkpoint records epoch and step, and no generator.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
from mlx import nn
from numpy.typing import NDArray

from smalti.canonical import Json
from smalti.codecs.checkpoint import Checkpoint
from smalti.errors import Refused
from smalti.training.environment import describe_environment
from smalti.training.metrics import best_evaluation
from smalti.training.ranks import this_process
from smalti.training.schedule import learning_rate
from smalti.training.settings import AT_EVALUATIONS, Saving, TrainingSettings
from smalti.training.steps import OptimizerStep
from smalti.training.tensors import load_weights, to_numpy, to_tree

BETAS = [0.9, 0.99]
VALIDATION_LOSS = "validation_loss"

Samples = NDArray[np.int64]
Order = Sequence[Samples] | Samples  # batches, or (batches, samples)

N = TypeVar("N", bound=nn.Module)
Report = Callable[[dict[str, Any]], None]


class Task(Protocol[N]):
    """A model, its data and its loss, as the loop uses them."""

    @property
    def model_config(self) -> Mapping[str, Json]:
        """The network's configuration, ``model_type`` included."""

    @property
    def tokenizer(self) -> str:
        """The JSON text of the ``tokenizers`` Tokenizer that made the tokens; "" where there is none."""

    @property
    def separable(self) -> bool:
        """Whether the loss of a batch is the mean of the losses of its samples, so that ranks may share a batch."""

    def build(self) -> N:
        """Return the untrained network, drawing from ``mx.random`` alone."""

    def order(self, rng: np.random.Generator) -> Order:
        """Return the samples of each batch of one epoch; as many batches in every epoch."""

    def batch(self, samples: Samples) -> tuple[NDArray[Any], ...]:
        """Return the arrays of these samples; each set of shapes that occurs is compiled once."""

    def loss(self, network: N, *arrays: mx.array) -> mx.array:
        """Return the scalar that is minimised; it may draw from ``mx.random``."""

    def evaluate(self, network: N) -> Mapping[str, float]:
        """Return metrics of samples that are never trained on: ``validation_loss``, and whatever else is of interest.

        The network is in evaluation mode: no dropout. A task may define its validation loss otherwise than ``loss``.
        """


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training run came to, or has come to so far; a run is resumed from both.

    Attributes:
        last: the state after the last step.
        best: the state at the best evaluation by ``settings.metric``, the first of equals: what to predict with. Before
            the first evaluation, ``last``.
    """

    last: Checkpoint
    best: Checkpoint


def train(
    task: Task[N],
    settings: TrainingSettings,
    resume: Trained | None = None,
    report: Report = lambda _: None,
    save: Callable[[Trained], None] = lambda _: None,
    saving: Saving = AT_EVALUATIONS,
) -> Trained:
    """Train to the last epoch, or until the metric has not improved for ``settings.patience`` evaluations.

    In a process that ``mlx.launch`` started as one of several, every batch is shared between them; all return the same,
    and only rank 0 reports and saves.

    Args:
        task: model, data and loss.
        settings: of the training.
        resume: what a run of the same task and settings has come to, at any step, to resume from.
        report: is given ``epoch`` (epochs done), ``epochs``, ``step`` (steps done in all), ``steps``, ``loss``,
            ``validation_loss`` (the last one measured, or None), the other metrics where they were measured, and
            ``samples_per_s`` after every epoch.
        save: is given what the run has come to every ``settings.checkpoint_epochs`` epochs and whenever ``saving``
            says so, but not at the end.

    Raises:
        Refused: ``resume`` is of another task or settings; the loss or a metric is no longer finite; the ranks cannot
            share a batch.
        Unavailable: the ranks do not find each other.
    """
    training = Training(task, settings, resume)
    if training.rank:
        report = save = _ignore
    epoch_begun = saved = time.perf_counter()
    samples = unsaved_steps = 0
    while not training.finished:
        epoch = training.epoch
        samples += training.advance()
        unsaved_steps += 1
        now = time.perf_counter()
        if training.epoch > epoch:
            report({**training.progress(), "samples_per_s": samples / (now - epoch_begun)})
            epoch_begun, samples = now, 0
        evaluated = training.epoch > epoch and training.at_evaluation
        if not training.finished and (
            (evaluated and saving.at_evaluations) or saving.is_due(unsaved_steps, now - saved)
        ):
            save(training.trained())
            saved, unsaved_steps = time.perf_counter(), 0
    return training.trained()


def _ignore(_: Any) -> None:
    pass


class Training(Generic[N]):
    """A training run at some step: ``advance`` takes one step, ``trained`` returns what it has come to.

    Attributes:
        epoch, step: epochs finished, and steps done in the current one.
        history: ``epoch`` and ``loss`` of every finished epoch, and the metrics where they were measured.
        rank: of this process among those that train together.
    """

    def __init__(self, task: Task[N], settings: TrainingSettings, resume: Trained | None = None) -> None:
        self.task, self.settings = task, settings
        self.config: dict[str, Json] = {**task.model_config, "training": asdict(settings)}
        self.epoch, self.step = 0, 0
        self.history: list[dict[str, Any]] = []
        self._best: Checkpoint | None = None
        self._loss_sum = 0.0  # of the current epoch
        self._environments = [describe_environment()]
        self._ranks = this_process()
        self.rank = self._ranks.rank
        if self._ranks.size > 1 and not task.separable:
            raise Refused(
                f"{self._ranks.size} ranks cannot share the batches of a {self.config.get('model_type')}, whose loss "
                "is no mean over its samples; train it in one process."
            )
        self.steps_per_epoch: int | None = None
        self._order = self._order_of(0)
        self.steps_per_epoch = len(self._order)

        mx.random.seed(settings.seed)
        self.network = task.build()
        schedule = learning_rate(settings, self.steps_per_epoch * settings.epochs)
        self._optimizer = optim.AdamW(schedule, betas=BETAS, weight_decay=settings.weight_decay)
        self._optimizer.init(self.network.trainable_parameters())
        if resume is not None:
            self._restore(resume)
        mx.eval(self.network.state, self._optimizer.state)
        loss = partial(task.loss, self.network)
        self._take_step = OptimizerStep(task.batch, loss, self.network, self._optimizer, self._ranks)

    @property
    def finished(self) -> bool:
        return self.epoch == self.settings.epochs or 0 < self.settings.patience <= self._best_evaluation()[1]

    @property
    def at_evaluation(self) -> bool:
        """Whether the epoch that ended last is one with an evaluation."""
        return self.epoch == self.settings.epochs or self.epoch % self.settings.checkpoint_epochs == 0

    def progress(self) -> dict[str, Any]:
        """Return what is reported of the epoch that ended last."""
        validated = [entry[VALIDATION_LOSS] for entry in self.history if VALIDATION_LOSS in entry]
        steps = self.steps_per_epoch or 0
        return {
            VALIDATION_LOSS: validated[-1] if validated else None,
            **self.history[-1],
            "epochs": self.settings.epochs,
            "step": self.epoch * steps,
            "steps": self.settings.epochs * steps,
        }

    def finish_epoch(self) -> None:
        """Advance to the end of the current epoch."""
        epoch = self.epoch
        while self.epoch == epoch:
            self.advance()

    def advance(self) -> int:
        """Take one step and return how many samples it took; the last of an epoch may evaluate the network.

        Raises:
            Refused: the loss or a metric is no longer finite.
        """
        batches = self._order[self.step]
        mx.random.seed(step_seed(self.settings.seed, self.epoch, self.step, self.rank))
        self._loss_sum += self._finite(self._take_step(batches), "loss")
        self.step += 1
        if self.step == self.steps_per_epoch:
            self._close_epoch()
        return sum(map(len, batches))

    def trained(self) -> Trained:
        """Return what the run has come to; equal runs give equal checkpoints."""
        last = self._checkpoint()
        return Trained(last, self._best or last)

    def _checkpoint(self) -> Checkpoint:
        best, _ = self._best_evaluation()
        return Checkpoint(
            model=to_numpy(self.network.parameters()),
            optimizer=to_numpy(self._optimizer.state),
            config=self.config,
            state={
                "seed": self.settings.seed,
                "epoch": self.epoch,
                "step": self.step,
                "loss_sum": self._loss_sum,
                "best": None if best is None else dict(best),
                "history": [dict(entry) for entry in self.history],
                "environments": list(self._environments),
            },
            tokenizer=self.task.tokenizer,
        )

    def _close_epoch(self) -> None:
        entry: dict[str, Any] = {"epoch": self.epoch + 1, "loss": self._loss_sum / self.step}
        self.epoch, self.step, self._loss_sum = self.epoch + 1, 0, 0.0
        self._order = self._order_of(self.epoch)
        self.history.append(entry)
        if self.at_evaluation:
            entry.update(self._evaluate())
            if self._best_evaluation()[0] is entry:
                self._best = self._checkpoint()

    def _evaluate(self) -> dict[str, float]:
        """Return the metrics that rank 0 measures."""
        metrics: dict[str, float] = {}
        if self.rank == 0:
            self.network.eval()
            metrics = {name: float(value) for name, value in self.task.evaluate(self.network).items()}
            self.network.train()
            for needed in (VALIDATION_LOSS, self.settings.metric):
                if needed not in metrics:
                    raise Refused(f"the evaluation gave {sorted(metrics)} without {needed}; choose one that it gives.")
            if taken := sorted(metrics.keys() & {"epoch", "loss"}):
                raise Refused(f"the evaluation gave {taken[0]!r}, which is the training's own; give it another name.")
            for name, value in metrics.items():
                self._finite(value, name.replace("_", " "))
        shared: dict[str, float] = self._ranks.from_first(dict(metrics))
        return shared

    def _best_evaluation(self) -> tuple[Mapping[str, Any] | None, int]:
        return best_evaluation(self.history, self.settings.metric, self.settings.more_is_better)

    def _restore(self, resume: Trained) -> None:
        last, state = resume.last, dict[str, Any](resume.last.state)
        _check_origin({**last.config, "tokenizer": last.tokenizer}, {**self.config, "tokenizer": self.task.tokenizer})
        if missing := sorted({"epoch", "step", "loss_sum", "best", "history", "environments"} - state.keys()):
            raise Refused(f"the checkpoint does not say {', '.join(missing)}, so it is for use only; start anew.")
        if state["best"] is not None:
            if resume.best.state["epoch"] != state["best"]["epoch"]:
                raise Refused(
                    f"the best checkpoint is of epoch {resume.best.state['epoch']}, but the run was best at epoch "
                    f"{state['best']['epoch']}; resume with the one of that epoch."
                )
            self._best = resume.best
        load_weights(self.network, last.model)
        self._optimizer.state = to_tree(last.optimizer)
        self.epoch, self.step, self._loss_sum = state["epoch"], state["step"], state["loss_sum"]
        self.history = [dict(entry) for entry in state["history"]]
        # One entry: the bits are those of an uninterrupted run. More: the environment changed on a resume.
        if state["environments"][-1] == self._environments[-1]:
            self._environments = []
        self._environments = [*state["environments"], *self._environments]
        self._order = self._order_of(self.epoch)

    def _order_of(self, epoch: int) -> list[Order]:
        """Return the batches of each step of an epoch; the last step may have fewer than the others."""
        batches = self.task.order(np.random.default_rng([self.settings.seed, epoch]))
        together = self.settings.accumulate
        steps = [batches[start : start + together] for start in range(0, len(batches), together)]
        if len(steps) != (self.steps_per_epoch or len(steps)) or not steps:
            raise Refused(
                f"epoch {epoch + 1} has {len(steps)} steps, and the first one {self.steps_per_epoch}; let the task "
                "make the same number of batches, at least one, in every epoch."
            )
        return steps

    def _finite(self, value: float, name: str) -> float:
        if not math.isfinite(value):
            raise Refused(
                f"the {name} is {value} after {self.step} steps of epoch {self.epoch + 1}; take a learning rate below "
                f"{self.settings.learning_rate:g}, or look for values in the data that are no numbers."
            )
        return value


def step_seed(seed: int, epoch: int, step: int, rank: int = 0) -> int:
    """Return the 64-bit seed of one step's random numbers; each rank has others."""
    entropy = [seed, epoch, step, rank] if rank else [seed, epoch, step]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])


def _check_origin(there: Mapping[str, Json], here: Mapping[str, Json]) -> None:
    if differing := sorted(name for name in {*there, *here} if there.get(name) != here.get(name)):
        made, now = ({name: config.get(name) for name in differing} for config in (there, here))
        raise Refused(f"the checkpoint was made with {made}, not {now}; resume with the same, or start anew.")
