"""The command line. Heavy imports happen inside the commands, so that help answers at once."""

from __future__ import annotations

import sys

import typer

from smalti.cli import (
    clean,
    comparing,
    contracts,
    datasets,
    doctor,
    dvc,
    fsck,
    keeping,
    moving,
    product,
    quarantine,
    runs,
    stats,
    tracking,
    validate,
    values,
)
from smalti.errors import SmaltiError

app = typer.Typer(
    name="smalti",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Datasets, checkpoints and products stored once by content, verified on every read.",
)
for command in (
    validate.validate,
    values.put,
    values.get,
    values.ls,
    values.show,
    tracking.status,
    tracking.checkout,
    comparing.tree,
    comparing.diff,
    stats.stats,
    keeping.pin,
    keeping.unpin,
    keeping.forget,
    keeping.gc,
    clean.clean,
    fsck.fsck,
    moving.push,
    moving.pull,
    moving.verify,
    doctor.doctor,
):
    app.command()(command)
app.command("import-dvc")(dvc.import_dvc)
app.add_typer(contracts.app, name="contracts")
app.add_typer(datasets.app, name="datasets")
app.add_typer(product.app, name="product")
app.add_typer(runs.app, name="runs")
app.add_typer(quarantine.app, name="quarantine")


def main() -> None:
    """Run the command line; an error of ours is one sentence on stderr and exit code 1."""
    try:
        app()
    except SmaltiError as error:
        typer.echo(f"smalti: {error}", err=True)
        sys.exit(1)
