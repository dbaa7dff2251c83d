"""The list of commands. The module of a command is imported when it is called, or its help is shown."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup

# name -> module and function, or the group of commands that the module calls its app
_COMMANDS = {
    "init": "stored.init.init",
    "validate": "validate.validate",
    "put": "stored.values.put",
    "get": "stored.values.get",
    "ls": "stored.values.ls",
    "show": "stored.values.show",
    "status": "work_tree.commands.status",
    "checkout": "work_tree.commands.checkout",
    "tree": "stored.comparing.tree",
    "diff": "stored.comparing.diff",
    "stats": "stored.stats.stats",
    "pin": "stored.keeping.pin",
    "unpin": "stored.keeping.unpin",
    "forget": "stored.keeping.forget",
    "retain": "stored.keeping.retain",
    "gc": "stored.keeping.gc",
    "clean": "stored.clean.clean",
    "report": "stored.reporting.report",
    "crate": "stored.crates.app",
    "fsck": "stored.fsck.fsck",
    "push": "stored.moving.push",
    "pull": "stored.moving.pull",
    "verify": "stored.moving.verify",
    "drill": "stored.drill.drill",
    "doctor": "doctor.doctor",
    "import-dvc": "work_tree.dvc.import_dvc",
    "migrate": "migrate.migrate",
    "contracts": "contracts.app",
    "datasets": "datasets.app",
    "product": "product.app",
    "runs": "stored.runs.app",
    "quarantine": "quarantine.app",
    "gallery": "gallery.gallery",
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
        module, _, name = _COMMANDS[cmd_name].rpartition(".")
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
