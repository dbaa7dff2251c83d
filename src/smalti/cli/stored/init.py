"""``smalti init``: an empty store."""

from __future__ import annotations

import typer

from smalti.cli.options import AsJson, StorePlace, print_json, the_store
from smalti.errors import Refused


def init(store: StorePlace = None, as_json: AsJson = False) -> None:
    """Make an empty store, unless there is one. What writes values makes one as well; what reads does not."""
    from smalti.store.format.record import FORMAT

    opened = the_store(store)
    if opened.place == "memory:":
        raise Refused("a store in memory ends with this process; name a folder or a bucket.")
    made = not opened.exists()
    opened.init()
    if as_json:
        print_json({"place": opened.place, "id": opened.id, "format": FORMAT, "made": made})
    else:
        what = "an empty store was made" if made else "there is a store already"
        typer.echo(f"{what} at {opened.place}: format {FORMAT}, id {opened.id}")
