"""The command line. Heavy imports happen inside the commands, so that help answers at once."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from smalti.errors import SmaltiError

if TYPE_CHECKING:
    from smalti.cli.commands import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; an error of ours is one sentence on stderr and exit code 1."""
    from smalti.cli.plain import run_plain

    try:
        if run_plain(sys.argv[1:]):
            sys.stdout.flush()
            sys.exit(0)
        from smalti.cli.commands import app

        app()
    except SmaltiError as error:
        print(f"smalti: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:  # nobody reads on; Python would complain of what it cannot flush any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module 'smalti.cli' has no attribute {name!r}; it offers {', '.join(__all__)}")
    from smalti.cli.commands import app

    return app
