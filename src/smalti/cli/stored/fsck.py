"""``smalti fsck``: is everything as it was stored?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from smalti.cli.answers import counted
from smalti.cli.options import AsJson, StorePlace, print_json, readable, the_store
from smalti.cli.progress import shown
from smalti.errors import Refused

if TYPE_CHECKING:
    from smalti.store import FsckReport


def fsck(
    full: Annotated[bool, typer.Option("--full", help="Read every byte, not only where a file looks changed.")] = False,
    sample: Annotated[
        int | None,
        typer.Option(min=1, metavar="CHECKS", help="Read every byte of one part of so many, another each time."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="With --sample: begin nothing more after so many minutes.")
    ] = None,
    rebuild_index: Annotated[bool, typer.Option("--rebuild-index", help="First make the index anew.")] = False,
    repair_from: Annotated[
        str | None, typer.Option(metavar="REMOTE", help="Fetch what is damaged or missing from this store.")
    ] = None,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Check every name, record and file. Exit code 0: clean, or repaired; 1: what is wrong is named."""
    from smalti.store import Sample

    opened = the_store(store)
    remote = the_store(repair_from) if repair_from else None
    if rebuild_index:
        opened.rebuild_index()
    then = "the same command goes on from there." if full or sample else "the same command begins anew."
    if minutes is not None and sample is None:
        raise Refused("--minutes bounds a sampled check; give --sample 30 too.")
    part = Sample(sample, most_seconds=None if minutes is None else minutes * 60) if sample else None
    with shown("checking", then) as progress:
        report = opened.fsck(progress, full=full, sample=part, repair_from=remote)
    say(report, as_json)


def say(report: FsckReport, as_json: bool) -> None:
    """Print what a check found; end with exit code 1 unless everything is as it was stored."""
    if as_json:
        print_json({**asdict(report), "clean": report.clean})
    else:
        for problem in report.problems:
            needed = f" Needed by: {', '.join(problem.names)}." if problem.names else ""
            repaired = " It was repaired." if problem.repaired else ""
            typer.echo(f"{problem.place}: {problem.what}{needed}{repaired}")
        if (of := getattr(report, "of_objects", None)) is not None:
            since = getattr(report, "whole_since", "")
            round_said = f"everything was read or written since {since}" if since else "the first round goes on"
            typer.echo(f"a sample of {counted(of, 'object')}; {round_said}")
        typer.echo(f"{counted(report.objects, 'object')}, {readable(report.nbytes)}: {_summary(report)}")
    if not report.clean:
        raise typer.Exit(1)


def _summary(report: FsckReport) -> str:
    repaired = sum(problem.repaired for problem in report.problems)
    left = len(report.problems) - repaired
    said = [f"{repaired} repaired"] * bool(repaired) + [counted(left, "problem")] * bool(left)
    return ", ".join(said) or "clean"
