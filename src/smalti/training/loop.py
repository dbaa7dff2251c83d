"""The training loop: deterministic, and resumable from a checkpoint of any step to the same bits.

No random generator keeps a state: the random numbers of a step are seeded by (seed, epoch, step), the order of an epoch
by (seed, epoch). So a checkpoint records epoch and step, and no generator.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten, tree_unflatten
from numpy.typing import NDArray

from smalti.canonical import Json
from smalti.codecs.checkpoint import Checkpoint
from smalti.compute.kernels import compiling_alone
from smalti.errors import Refused
from smalti.training.environment import describe_environment
from smalti.training.settings import TrainingSettings

BETAS = [0.9, 0.99]
WARM_UP = 0.02  # fraction of all steps in which the learning rate rises
FINAL_RATE = 0.02  # of the peak learning rate, reached by a cosine

N = TypeVar("N", bound=nn.Module)
Report = Callable[[dict[str, Any]], None]


class Task(Protocol[N]):
    """A model, its data and its loss, as the loop uses them."""

    @property
    def model_config(self) -> Mapping[str, Json]:
        """The network's configuration, ``model_type`` included."""

    def build(self) -> N:
        """Return the untrained network, drawing from ``mx.random`` alone."""

    def order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return (steps, batch): the samples of each step of one epoch; ``steps`` is the same in every epoch."""

    def batch(self, samples: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """Return the arrays of these samples, of the same shapes for every step."""

    def loss(self, network: N, *arrays: mx.array) -> mx.array:
        """Return the scalar that is minimised."""

    def validation_loss(self, network: N) -> float:
        """Return the loss of samples that are never trained on; a task may define it otherwise than ``loss``."""


def train(
    task: Task[N],
    settings: TrainingSettings,
    resume: Checkpoint | None = None,
    report: Report = lambda _: None,
    save: Callable[[Checkpoint], None] = lambda _: None,
) -> Checkpoint:
    """Train to the last epoch and return its checkpoint.

    Args:
        task: model, data and loss.
        settings: of the training.
        resume: a checkpoint of the same task and settings, of any step, to resume from.
        report: is given ``epoch`` (epochs done), ``epochs``, ``step`` (steps done in all), ``loss``,
            ``validation_loss`` (the last one measured, or None) and ``samples_per_s`` after every epoch.
        save: is given a checkpoint every ``settings.checkpoint_epochs`` epochs, but not the last one.

    Raises:
        Refused: the checkpoint is of another task or settings, or the loss is no longer finite.
    """
    training = Training(task, settings, resume)
    while not training.finished:
        start, first_step = time.perf_counter(), training.step
        training.finish_epoch()
        seconds = time.perf_counter() - start
        steps = training.steps_per_epoch
        report(
            {
                **training.history[-1],
                "validation_loss": training.validation_loss,
                "epochs": settings.epochs,
                "step": training.epoch * steps,
                "samples_per_s": (steps - first_step) * training.samples_per_step / seconds,
            }
        )
        if training.at_checkpoint and not training.finished:
            save(training.checkpoint())
    return training.checkpoint()


class Training(Generic[N]):
    """A training run at some step: ``advance`` takes one step, ``checkpoint`` returns its state.

    Attributes:
        epoch, step: epochs finished, and steps done in the current one.
        history: ``epoch`` and ``loss`` of every finished epoch, and ``validation_loss`` where it was measured.
    """

    def __init__(self, task: Task[N], settings: TrainingSettings, resume: Checkpoint | None = None) -> None:
        self.task, self.settings = task, settings
        self.config: dict[str, Json] = {**task.model_config, "training": asdict(settings)}
        self.epoch, self.step = 0, 0
        self.history: list[dict[str, Any]] = []
        self._loss_sum = 0.0  # of the current epoch
        self._environments = [describe_environment()]
        self._order = self._order_of(0)
        self.steps_per_epoch, self.samples_per_step = self._order.shape

        mx.random.seed(settings.seed)
        self.network = task.build()
        self._optimizer = optim.AdamW(self._schedule(), betas=BETAS, weight_decay=settings.weight_decay)
        self._optimizer.init(self.network.trainable_parameters())
        if resume is not None:
            self._restore(resume)
        mx.eval(self.network.state, self._optimizer.state)
        self._compiled_step, self._warm = self._compile(), False

    @property
    def finished(self) -> bool:
        return self.epoch == self.settings.epochs

    @property
    def at_checkpoint(self) -> bool:
        """Whether the epoch that ended last is one with a validation loss and a checkpoint."""
        return self.finished or self.epoch % self.settings.checkpoint_epochs == 0

    @property
    def validation_loss(self) -> float | None:
        """The latest validation loss; None before the first."""
        return next((e["validation_loss"] for e in reversed(self.history) if "validation_loss" in e), None)

    def finish_epoch(self) -> None:
        """Advance to the end of the current epoch."""
        epoch = self.epoch
        while self.epoch == epoch:
            self.advance()

    def advance(self) -> None:
        """Take one step; the last of an epoch that ends in a checkpoint also measures the validation loss.

        Raises:
            Refused: the loss is no longer finite.
        """
        mx.random.seed(step_seed(self.settings.seed, self.epoch, self.step))
        arrays = self.task.batch(self._order[self.step])
        with nullcontext() if self._warm else compiling_alone():
            loss = self._compiled_step(*(mx.array(array) for array in arrays))
            mx.eval(loss, self.network.state, self._optimizer.state)
        self._warm = True
        self._loss_sum += self._finite(float(np.array(loss)), "loss")
        self.step += 1
        if self.step == self.steps_per_epoch:
            self._close_epoch()

    def checkpoint(self) -> Checkpoint:
        """Return the state from which a run is resumed to the same bits; equal runs give equal checkpoints."""
        validated = [entry for entry in self.history if "validation_loss" in entry]
        return Checkpoint(
            model=_to_numpy(self.network.parameters()),
            optimizer=_to_numpy(self._optimizer.state),
            config=self.config,
            state={
                "seed": self.settings.seed,
                "epoch": self.epoch,
                "step": self.step,
                "loss_sum": self._loss_sum,
                "best": min(validated, key=lambda entry: entry["validation_loss"], default=None),
                "history": list(self.history),
                "environments": list(self._environments),
            },
        )

    def _close_epoch(self) -> None:
        entry: dict[str, Any] = {"epoch": self.epoch + 1, "loss": self._loss_sum / self.steps_per_epoch}
        self.epoch, self.step, self._loss_sum = self.epoch + 1, 0, 0.0
        if self.at_checkpoint:
            entry["validation_loss"] = self._finite(self.task.validation_loss(self.network), "validation loss")
        self.history.append(entry)
        self._order = self._order_of(self.epoch)

    def _restore(self, resume: Checkpoint) -> None:
        differing = sorted(
            name for name in {*self.config, *resume.config} if self.config.get(name) != resume.config.get(name)
        )
        if differing:
            there = {name: resume.config.get(name) for name in differing}
            here = {name: self.config.get(name) for name in differing}
            raise Refused(f"the checkpoint was made with {there}, not {here}; resume with the same, or start anew.")
        self.network.load_weights([(name, mx.array(array)) for name, array in resume.model.items()])
        self._optimizer.state = tree_unflatten([(k, mx.array(v)) for k, v in resume.optimizer.items()])
        state: Any = resume.state
        self.epoch, self.step, self._loss_sum = state["epoch"], state["step"], state["loss_sum"]
        self.history = list(state["history"])
        # One entry: the bits are those of an uninterrupted run. More: the environment changed on a resume.
        if state["environments"][-1] == self._environments[-1]:
            self._environments = []
        self._environments = [*state["environments"], *self._environments]
        self._order = self._order_of(self.epoch)

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        return self.task.order(np.random.default_rng([self.settings.seed, epoch]))

    def _schedule(self) -> Callable[[mx.array], mx.array]:
        rate, steps = self.settings.learning_rate, self.steps_per_epoch * self.settings.epochs
        rising = math.ceil(WARM_UP * steps)
        falling = optim.cosine_decay(rate, max(1, steps - rising), rate * FINAL_RATE)
        schedule: Callable[[mx.array], mx.array] = optim.join_schedules(
            [optim.linear_schedule(rate / (rising + 1), rate, rising), falling], [rising]
        )
        return schedule

    def _compile(self) -> Callable[..., mx.array]:
        loss_and_gradient = nn.value_and_grad(self.network, partial(self.task.loss, self.network))
        state = [self.network.state, self._optimizer.state, mx.random.state]

        @partial(mx.compile, inputs=state, outputs=state)
        def step(*arrays: mx.array) -> mx.array:
            loss: mx.array
            loss, gradient = loss_and_gradient(*arrays)
            self._optimizer.update(self.network, gradient)
            return loss

        compiled: Callable[..., mx.array] = step
        return compiled

    def _finite(self, value: float, name: str) -> float:
        if not math.isfinite(value):
            raise Refused(
                f"the {name} is {value} after {self.step} steps of epoch {self.epoch + 1}; take a learning rate below "
                f"{self.settings.learning_rate:g}, or look for values in the data that are no numbers."
            )
        return value


def step_seed(seed: int, epoch: int, step: int) -> int:
    """Return the 64-bit seed of one step's random numbers."""
    return int(np.random.SeedSequence([seed, epoch, step]).generate_state(1, np.uint64)[0])


def _to_numpy(tree: Any) -> dict[str, NDArray[Any]]:
    flat: Any = tree_flatten(tree)
    return {name: np.array(array) for name, array in flat}
