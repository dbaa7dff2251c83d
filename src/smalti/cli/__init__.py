"""The command line. Heavy imports happen inside the commands, so that help answers at once."""

from __future__ import annotations

import sys

import typer

from smalti.cli import doctor, fsck, product, validate, values
from smalti.errors import SmaltiError

app = typer.Typer(
    name="smalti",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Datasets, checkpoints and products stored once by content, verified on every read.",
)
app.command()(validate.validate)
app.command()(values.put)
app.command()(values.get)
app.command()(values.ls)
app.command()(values.show)
app.command()(fsck.fsck)
app.command()(doctor.doctor)
app.add_typer(product.app, name="product")


def main() -> None:
    """Run the command line; an error of ours is one sentence on stderr and exit code 1."""
    try:
        app()
    except SmaltiError as error:
        typer.echo(f"smalti: {error}", err=True)
        sys.exit(1)
