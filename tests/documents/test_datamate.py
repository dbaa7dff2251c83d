"""Every code block of the datamate document runs here, with only import lines changed and tabs read as 4 columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

import smalti
from tests.documents.blocks import Block, read, run

KNOWN = {"Example 1": "run"}


@pytest.fixture(scope="session")
def blocks(spec_folder: Path) -> dict[str, Block]:
    return read(spec_folder, "datamate.md")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; the root directory that a test sets is forgotten."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    smalti.set_root_dir(None)


def run_example(blocks: dict[str, Block]) -> dict[str, Any]:
    """Run the example with what it does not define: an optimizer and the loss of one epoch.

    Its lines are indented partly by tabs, partly by four spaces, which Python refuses: tabs become four columns.
    """
    asked: list[tuple[str, float]] = []

    def get_optimizer(name: str, lr: float) -> object:
        asked.append((name, lr))
        return object()

    block = blocks["Example 1"]
    names = {"get_optimizer": get_optimizer, "loss": 0.25}
    return {**run(replace(block, text=block.text.expandtabs(4)), names), "asked": asked}


def test_no_block_is_forgotten(blocks: dict[str, Block]) -> None:
    assert list(blocks) == list(KNOWN)


def test_the_experiment_is_stored_as_ordinary_files_where_the_document_says(
    blocks: dict[str, Block], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    after = run_example(blocks)
    folder = here / "experiments" / "vision_study" / "model_01"
    assert after["exp"].path == folder
    assert sorted(path.name for path in folder.iterdir()) == ["_meta.yaml", "images.h5", "losses.h5", "responses.h5"]
    meta = yaml.safe_load((folder / "_meta.yaml").read_text())
    assert meta["config"] == {"type": "Directory", **after["config"]}
    assert meta["status"] == "done"
    with h5py.File(folder / "images.h5") as file:
        assert file["data"].shape == (100, 64, 64)
    assert "├── images.h5" in capsys.readouterr().out


def test_the_configuration_has_attributes_and_the_results_have_the_methods_of_arrays(
    blocks: dict[str, Block], here: Path
) -> None:
    after = run_example(blocks)
    assert after["asked"] == [("Adam", 0.001)]
    assert after["mean_loss"] == 0.25
    assert np.array_equal(after["exp"].losses[:], np.full(100, 0.25))
    assert np.array_equal(after["exp"].responses[:], np.zeros((100, 1000)))


def test_the_example_runs_again_on_what_it_has_stored(blocks: dict[str, Block], here: Path) -> None:
    first = run_example(blocks)["exp"].images[:]
    again = run_example(blocks)["exp"]
    assert again.status == "done"
    assert not np.array_equal(again.images[:], first)
