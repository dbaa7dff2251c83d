"""What every command shares: where the store is, and whether to answer in JSON."""

from __future__ import annotations

from typing import Annotated

import typer

from smalti.cli.answers import described, print_json, printable, readable_size, the_store

__all__ = [
    "AsJson",
    "Reference",
    "StorePlace",
    "described",
    "print_json",
    "printable",
    "readable_size",
    "the_store",
]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
StorePlace = Annotated[
    str | None, typer.Option("--store", metavar="PATH-OR-URL", help="The store; by default the one of this root.")
]
Reference = Annotated[
    str, typer.Argument(metavar="REF", help="A name, sha256:<hex>, or a unique prefix of 8 or more digits.")
]
