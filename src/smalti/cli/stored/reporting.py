"""``smalti report``: one HTML page about a value or a run, to be mailed."""

from __future__ import annotations

from pathlib import Path

import typer

from smalti.cli.options import AsJson, OutputPlace, StorePlace, Subject, plain_stem, print_json, the_store
from smalti.cli.progress import shown


def report(what: Subject, output: OutputPlace = None, store: StorePlace = None, as_json: AsJson = False) -> None:
    """Write one self-contained HTML page: pictures, metrics, code, and what it was made from down to raw files.

    A file that is there is replaced only if it is such a page.
    """
    from smalti.outputs.file import check_place, write_output
    from smalti.outputs.page import is_page
    from smalti.provenance import report_page

    target = output or Path(f"{plain_stem(what)}.html")
    check_place(target, is_page)
    with shown("writing the page", "nothing was written."):
        page = report_page(the_store(store), what)
    write_output(target, page.encode(), is_page)
    if as_json:
        print_json({"of": what, "written": str(target)})
    else:
        typer.echo(str(target))
