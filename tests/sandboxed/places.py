"""Where the modules lie that tests put into a sandbox."""

from __future__ import annotations

import os
from pathlib import Path

import smalti

_CHILD = Path(__file__).parent / "child"


def injected() -> str:
    """Return a PYTHONPATH under which the modules in ``child`` are ones of the library."""
    library = str(Path(smalti.__file__).parent.parent)
    return os.pathsep.join(filter(None, (str(_CHILD), library, os.environ.get("PYTHONPATH"))))
