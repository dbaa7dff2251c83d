"""Pandera, imported so that the environment of the process stays as it was.

Pandera sets ``PYARROW_IGNORE_TIMEZONE``, for Spark, and from then on pyarrow takes a Python datetime in any time zone
for one in UTC: times would be stored wrong by hours, without a word.
"""

from __future__ import annotations

import os
from types import ModuleType

_SET_BY_PANDERA = ("PYARROW_IGNORE_TIMEZONE", "SPARK_LOCAL_IP")


def import_pandera() -> ModuleType:
    """Return ``pandera.pandas``; it takes a second to import the first time."""
    before = {name: os.environ.get(name) for name in _SET_BY_PANDERA}
    try:
        import pandera.errors
        import pandera.pandas
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
    return pandera.pandas
