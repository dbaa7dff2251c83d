"""What every command shares: where the store is, and whether to answer in JSON."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from smalti.cli.answers import described, print_json, printable, shown_nbytes, the_store
from smalti.notebook.words import readable

__all__ = [
    "AsJson",
    "OutputPlace",
    "Reference",
    "StorePlace",
    "Subject",
    "described",
    "plain_stem",
    "print_json",
    "printable",
    "readable",
    "shown_nbytes",
    "the_store",
]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
StorePlace = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="PATH-OR-URL",
        help="The store; by default the bucket that is set (SMALTI_S3_BUCKET), else the folder store/ of this root.",
    ),
]
OutputPlace = Annotated[Path | None, typer.Option("--output", "-o", help="Where to; by default here.")]
Subject = Annotated[
    str, typer.Argument(metavar="REF|RUN", help="A name, a digest or its first digits, or a run (run:NAME).")
]
Reference = Annotated[
    str, typer.Argument(metavar="REF", help="A name, sha256:<hex>, or a unique prefix of 8 or more digits.")
]


def plain_stem(what: str) -> str:
    """Return what was asked for as the beginning of a file's name.

    >>> plain_stem("solved/run 7"), plain_stem("run:solve")
    ('solved-run-7', 'run-solve')
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", what).strip("-.")[:80] or "value"
