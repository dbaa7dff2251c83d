"""The door of the room: what it offers, and that looking through it loads and writes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from smalti import datasets

HEAVY = ("mlx", "numpy", "pandas", "pyarrow", "pydantic", "sklearn", "tokenizers", "huggingface_hub", "httpcore")


def test_the_public_list_is_this() -> None:
    assert datasets.__all__ == [
        "CompetitionMetadata",
        "CompetitionType",
        "DatasetCard",
        "DatasetRegistry",
        "DatasetSpec",
        "HousePricesDataset",
        "KaggleDataset",
        "TitanicDataset",
        "download_dataset",
        "fetch_dataset",
        "register_dataset",
    ]


def test_a_name_that_is_not_public_is_an_attribute_error_that_lists_the_others() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'load_dataset'; it offers CompetitionMetadata"):
        _ = datasets.load_dataset


def run(program: str, folder: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=folder
    ).stdout.strip()


def test_importing_loads_nothing_heavy_and_registering_neither(tmp_path: Path) -> None:
    loaded = f"import json, sys; print(json.dumps(sorted(set({HEAVY}) & set(sys.modules))))"
    assert run(f"import smalti.datasets; {loaded}", tmp_path) == "[]"
    heavy = run(
        "from smalti.datasets import register_dataset, KaggleDataset, DatasetRegistry\n"
        f"@register_dataset\ndef fetch_x(): pass\n{loaded}",
        tmp_path,
    )
    assert not set(json.loads(heavy)) & {"mlx", "sklearn", "tokenizers", "huggingface_hub", "httpcore"}
    assert list(tmp_path.iterdir()) == []
