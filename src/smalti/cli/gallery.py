"""``smalti gallery``: the pictures and figures of all outputs, in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

_PORT = 3080


def gallery(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of this machine; 0 is any that is free.")] = _PORT,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Serve outputs/ with its gallery to this machine, read-only, until Ctrl-C."""
    from smalti.errors import NotFound, SmaltiError
    from smalti.gallery.serve import open_server
    from smalti.gallery.update import rebuild_gallery
    from smalti.outputs.folder import PAGE
    from smalti.settings import Settings

    settings = Settings()
    outputs = settings.outputs
    if not outputs.is_dir():
        raise NotFound(
            f"{outputs} is not there yet; materialize an asset of a scan or table first, e.g. with `make run`."
        )
    try:
        rebuild_gallery(outputs, settings.dagster_url)
    except SmaltiError:
        if not (outputs / PAGE).is_file():  # else it is shown as it was written last, as from a read-only disk
            raise
    with open_server(outputs, port) as server:
        typer.echo(f"{server.url} shows {outputs}; Ctrl-C ends it.")
        if open_:
            typer.launch(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("")
