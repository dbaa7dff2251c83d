"""How far a training has come, on a terminal: epochs, loss and metrics, samples per second, time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_NOT_SHOWN = {"epoch", "epochs", "step", "steps", "loss", "samples_per_s"}


@contextmanager
def shown(what: str) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Give what shows the reports of a training on stderr; where that is no terminal, one line for each epoch.

    ::

        with shown("titanic") as report:
            train(task, settings, report=report)

    Args:
        what: is trained.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def report(progress: Mapping[str, Any]) -> None:
            if "loss" not in progress:  # a state was saved, or the like
                return
            said = described(progress)
            bar.update(task, completed=progress["step"], total=progress["steps"], description=f"{what}  {said}")
            if not console.is_terminal:
                console.print(f"{what}  {said}", highlight=False, markup=False, soft_wrap=True)

        yield report


def described(progress: Mapping[str, Any]) -> str:
    """Return a report of the training loop as one line.

    >>> described({"epoch": 3, "epochs": 8, "loss": 0.51234, "accuracy": 0.8, "samples_per_s": 412.7})
    'epoch 3 of 8, loss 0.5123, accuracy 0.8, 413 samples/s'
    """
    metrics = {"loss": progress["loss"], **{k: v for k, v in progress.items() if k not in _NOT_SHOWN and v is not None}}
    figures = "".join(f", {name.replace('_', ' ')} {value:.4g}" for name, value in metrics.items())
    return f"epoch {progress['epoch']} of {progress['epochs']}{figures}, {progress['samples_per_s']:.0f} samples/s"
