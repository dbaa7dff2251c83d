"""``smalti report``: one HTML page about a value or a run, to be mailed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from smalti.cli.options import StorePlace, the_store
from smalti.errors import NotFound, Refused


def report(
    what: Annotated[
        str, typer.Argument(metavar="REF|RUN", help="A name, a digest or its first digits, or a run (run:NAME).")
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to; by default here.")] = None,
    store: StorePlace = None,
) -> None:
    """Write one self-contained HTML page: pictures, metrics, code, and what it was made from down to raw files."""
    from smalti.provenance import report_page
    from smalti.store.commit import create_file, machine_errors

    target = output or Path(f"{re.sub(r'[^A-Za-z0-9._-]+', '-', what).strip('-.')[:80]}.html")
    if not target.parent.is_dir():
        raise NotFound(f"{target} cannot be written because {target.parent} is no folder; create it first.")
    if target.exists():
        raise Refused(f"{target} exists already; name another place with --output.")
    page = report_page(the_store(store), what)
    with machine_errors(f"writing {target}"):
        if not create_file(target, [page.encode()]):
            raise Refused(f"{target} came to exist meanwhile; name another place with --output.")
    typer.echo(str(target))
