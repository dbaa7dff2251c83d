"""``smalti status``, ``checkout``: tracked files and folders beside their pointers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smalti.cli.options import AsJson, StorePlace
from smalti.cli.work_tree.tracked import check_out_all, compare

Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[PATH]...", help="Tracked paths, or folders to look for pointer files in; by default all."),
]


def status(
    paths: Paths = None,
    remote: Annotated[bool, typer.Option("--remote", help="Ask the remote store (SMALTI_REMOTE), too.")] = False,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Compare tracked files and folders with their pointers. Exit code 1: something differs or is missing."""
    compare(paths or [], remote, store, as_json)


def checkout(
    paths: Paths = None,
    force: Annotated[bool, typer.Option("--force", help="Give up changes of yours that were not put.")] = False,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Make files and folders what their pointers say, verified; what you changed since the last put is refused."""
    check_out_all(paths or [], force, store, as_json)
