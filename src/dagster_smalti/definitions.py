"""The definitions of this project for ``dg``, which looks for modules below ``src`` only."""

import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

defs = import_module("definitions").defs
