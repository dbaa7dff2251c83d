"""The definitions of this project for ``dg``, which looks for modules below ``src`` only."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from definitions import defs

__all__ = ["defs"]
