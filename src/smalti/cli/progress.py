"""How far long work has come, on a terminal; and how it ends when someone presses Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from smalti.cli.options import readable_size

if TYPE_CHECKING:
    from smalti.store import Progress

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@contextmanager
def shown(doing: str, then: str) -> Iterator[Callable[[Progress], None]]:
    """Give what shows progress. Ctrl-C ends the command with one sentence: how far it came, and ``then``."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    came = "before the first object"

    def show(progress: Progress) -> None:
        nonlocal came
        total = f" of {readable_size(progress.of_nbytes)}" if progress.of_nbytes else ""
        far = f"{progress.objects} of {progress.of_objects} objects, {readable_size(progress.nbytes)}{total}"
        came = f"after {far}"
        done, of = (progress.nbytes, progress.of_nbytes) if total else (progress.objects, progress.of_objects)
        bar.update(task, completed=done, total=of, description=f"{doing}  {far}")

    try:
        with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task(doing, total=None)
            yield show
    except KeyboardInterrupt:
        typer.echo(f"smalti: stopped {came}; {then}", err=True)
        raise typer.Exit(_INTERRUPTED) from None
