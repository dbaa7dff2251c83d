"""The list of commands. The module of a command is imported when it is called, or its help is shown."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup

# name -> module and function, or the group of commands that the module calls its app
_COMMANDS = {
    "validate": "validate.validate",
    "put": "values.put",
    "get": "values.get",
    "ls": "values.ls",
    "show": "values.show",
    "status": "tracking.status",
    "checkout": "tracking.checkout",
    "tree": "comparing.tree",
    "diff": "comparing.diff",
    "stats": "stats.stats",
    "pin": "keeping.pin",
    "unpin": "keeping.unpin",
    "forget": "keeping.forget",
    "gc": "keeping.gc",
    "clean": "clean.clean",
    "fsck": "fsck.fsck",
    "push": "moving.push",
    "pull": "moving.pull",
    "verify": "moving.verify",
    "doctor": "doctor.doctor",
    "import-dvc": "dvc.import_dvc",
    "contracts": "contracts.app",
    "datasets": "datasets.app",
    "product": "product.app",
    "runs": "runs.app",
    "quarantine": "quarantine.app",
}


class _Commands(TyperGroup):
    """The commands of the table, each made when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the table, which is that of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, or None where there is none of that name."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(".")
        found = getattr(importlib.import_module(f"smalti.cli.{module}"), name)
        if isinstance(found, typer.Typer):
            group = typer.main.get_group(found)
            group.name = cmd_name
            return group
        alone = typer.Typer(add_completion=False)
        alone.command(cmd_name)(found)
        return typer.main.get_command(alone)


app = typer.Typer(
    name="smalti",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def smalti() -> None:
    """Datasets, checkpoints and products stored once by content, verified on every read."""
