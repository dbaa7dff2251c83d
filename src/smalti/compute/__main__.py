"""The child's side of :func:`smalti.compute.run_child`: one request in, progress and one answer out."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
from typing import Any

from smalti import errors
from smalti.compute.blas import prepare_blas
from smalti.errors import SmaltiError


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which kills this process
    # From here on file 1 is stderr, so that a stray print, or one from C, cannot break the protocol.
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(message: dict[str, Any]) -> None:
        protocol.write(json.dumps(message) + "\n")
        protocol.flush()

    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    prepare_blas()  # before the module below imports mlx
    module, _, name = sys.argv[1].partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
        send({"result": function(request, lambda progress: send({"progress": progress}))})
    except SmaltiError as error:
        ours = next(c for c in type(error).__mro__ if getattr(errors, c.__name__, None) is c)
        send({"error": ours.__name__, "message": str(error)})


def _exit_with_parent() -> None:
    """The parent writes nothing more, so reading returns only when it is gone."""
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main()
