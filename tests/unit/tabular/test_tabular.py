"""The door of ``smalti.tabular``: every name is there, and importing it imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import smalti.tabular


def test_every_name_is_there() -> None:
    assert all(hasattr(smalti.tabular, name) for name in smalti.tabular.__all__)


def test_the_door_the_split_and_the_settings_import_no_mlx_pandas_or_matplotlib() -> None:
    program = (
        "import sys, smalti.tabular as t; t.BertSettings, t.split_rows, t.Predictions, t.Evaluation; "
        "print(*sorted({'mlx', 'pandas', 'matplotlib', 'sklearn', 'tokenizers'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.split() == []
