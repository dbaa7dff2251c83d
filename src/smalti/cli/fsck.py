"""``smalti fsck``: is everything as it was stored?"""

from __future__ import annotations

from dataclasses import asdict

import typer

from smalti.cli.options import AsJson, StorePlace, print_json, readable_size, the_store


def fsck(store: StorePlace = None, as_json: AsJson = False) -> None:
    """Re-read and re-hash everything. Exit code 0: clean; 1: every damaged or missing object is named."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    opened = the_store(store)
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("checking", total=None)
        report = opened.fsck(lambda done, total: progress.update(task, completed=done, total=total))
    if as_json:
        print_json({**asdict(report), "clean": report.clean})
    else:
        for problem in report.problems:
            needed = f" Needed by: {', '.join(problem.names)}." if problem.names else ""
            typer.echo(f"{problem.place}: {problem.what}{needed}")
        verdict = "clean" if report.clean else f"{len(report.problems)} problems"
        typer.echo(f"{report.objects} objects, {readable_size(report.nbytes)}: {verdict}")
    if not report.clean:
        raise typer.Exit(1)
