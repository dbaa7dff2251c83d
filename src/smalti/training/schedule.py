"""The learning rate by step: a linear warm-up, then a cosine decay."""

from __future__ import annotations

import math
from collections.abc import Callable

import mlx.core as mx
import mlx.optimizers as optim

from smalti.training.settings import TrainingSettings

Schedule = Callable[[mx.array], mx.array]


def learning_rate(settings: TrainingSettings, steps: int) -> Schedule:
    """Return the learning rate as a function of the step, from 0, in a run of so many ``steps``."""
    peak, rising = settings.learning_rate, math.ceil(settings.warmup * steps)
    falling: Schedule = optim.cosine_decay(peak, max(1, steps - rising), peak * settings.final_rate)
    if rising == 0:
        return falling
    schedule: Schedule = optim.join_schedules(
        [optim.linear_schedule(peak / (rising + 1), peak, rising), falling], [rising]
    )
    return schedule
