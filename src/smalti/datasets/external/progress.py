"""How far a fetch has come, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Show = Callable[[int, int | None], None]


@contextmanager
def shown(doing: str) -> Iterator[Show]:
    """Give what is called with the bytes so far and those in all; on stderr, and only where that is a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(escape(doing), total=None)
        yield lambda nbytes, of_nbytes: bar.update(task, completed=nbytes, total=of_nbytes)
