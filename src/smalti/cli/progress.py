"""How far long work has come, on a terminal; and how it ends when someone presses Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from smalti.cli.answers import warn
from smalti.notebook.words import readable

if TYPE_CHECKING:
    from smalti.store import Progress

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@contextmanager
def shown(doing: str, then: str) -> Iterator[Callable[[Progress], None]]:
    """Give what shows progress. Ctrl-C ends the command with one sentence: how far it came, and ``then``."""
    came = "before the first object"

    def show(progress: Progress) -> None:
        nonlocal came
        total = f" of {readable(progress.of_nbytes)}" if progress.of_nbytes else ""
        far = f"{progress.objects} of {progress.of_objects} objects, {readable(progress.nbytes)}{total}"
        came = f"after {far}"
        done, of = (progress.nbytes, progress.of_nbytes) if total else (progress.objects, progress.of_objects)
        update(f"{doing}  {far}", done, of)

    try:
        with _bar(doing) as update:
            yield show
    except KeyboardInterrupt:
        warn(f"smalti: stopped {came}; {then}")
        raise SystemExit(_INTERRUPTED) from None


@contextmanager
def _bar(doing: str) -> Iterator[Callable[[str, int, int | None], None]]:
    """Give what moves a bar (its text, done, of how much); where nobody would see it, none is drawn."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda text, done, of: bar.update(task, description=text, completed=done, total=of)
