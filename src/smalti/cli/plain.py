"""``smalti put PATH``, ``status`` and ``checkout`` without options, run without the parser of options.

They are asked most often, and the parser takes several times as long to import as a small change takes to store. They
call what the parser would call, with the defaults that it would give.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

_COLLECTED_EVERY = 500_000  # new objects: a folder of ten thousand files makes many, and no circles among them


def run_plain(arguments: Sequence[str]) -> bool:
    """Run a command that needs no parser; return False, and do nothing, where it takes one to tell what is meant."""
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", ())
    if not all(rest) or any(argument.startswith("-") for argument in rest):
        return False
    paths = [Path(argument) for argument in rest]
    gc.set_threshold(_COLLECTED_EVERY)
    if command == "put" and len(paths) == 1:
        from smalti.cli.answers import the_store
        from smalti.cli.work_tree.tracked import is_to_be_tracked, track

        if not is_to_be_tracked(paths[0], name=None, pointer=None):
            return False
        track(paths[0], the_store(None), as_json=False)
    elif command == "status":
        from smalti.cli.work_tree.tracked import compare

        compare(paths, remote=False, store=None, as_json=False)
    elif command == "checkout":
        from smalti.cli.work_tree.tracked import check_out_all

        check_out_all(paths, force=False, store=None, as_json=False)
    else:
        return False
    return True
