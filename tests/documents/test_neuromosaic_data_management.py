"""Every code block of the Neuromosaic document runs here, with only its import lines changed."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx import nn
from typer.testing import CliRunner

from smalti import datasets
from smalti.datasets import DatasetCard, fetch_dataset, register_dataset
from smalti.datasets.fetchers import _registered, fetchers
from smalti.errors import Refused
from smalti.settings import Settings
from tests.documents.blocks import Block, names_in_tree, read, run

# What is done with each block; a block that is not here is one that nobody has looked at.
KNOWN = {
    "Directory Structure 1": "the folders are those of the settings",
    "Remote Datasets 1": "run against a hub on this machine",
    "Remote Datasets 2": "run against a server on this machine",
    "Data Versioning 1": "each command of dvc has the one of smalti that does it",
    "Access Control 1": "read as a .env file",
    "Adding New Datasets 1": "run",
    "Artifacts Management 1": "run",
}


@pytest.fixture(scope="session")
def blocks(spec_folder: Path) -> dict[str, Block]:
    return read(spec_folder, "neuromosaic_data_management.md")


@pytest.fixture
def forgotten() -> Iterator[None]:
    """What a test registers is forgotten."""
    yield
    _registered.clear()


def test_no_block_is_forgotten(blocks: dict[str, Block]) -> None:
    assert list(blocks) == list(KNOWN)


def test_the_folders_are_those_of_the_settings(blocks: dict[str, Block], root: Path) -> None:
    folders = names_in_tree(blocks["Directory Structure 1"])
    assert folders == ["raw", "processed", "interim", "external"]
    settings = Settings()
    assert {name: getattr(settings, name) for name in folders} == {name: root / "data" / name for name in folders}


def test_a_dataset_of_the_hub_is_fetched_by_its_name(
    blocks: dict[str, Block], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.unit.datasets.hub.hub_server import running_hub

    for name in ("HUGGINGFACE_TOKEN", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        dataset = run(blocks["Remote Datasets 1"], {})["dataset"]
    assert {split: table.num_rows for split, table in dataset.items()} == {"train": 200, "validation": 100, "test": 100}
    assert dataset["train"].column_names == ["text"]
    again = fetch_dataset("wikitext-103", split="test")  # from data/external: the hub is gone
    assert again.equals(dataset["test"])
    assert (root / "data" / "external").is_dir()


def test_a_dataset_of_a_url_is_downloaded_into_external(
    blocks: dict[str, Block], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.unit.datasets.loopback import two_servers

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("table.csv", "a,b\n1,2\n")
    with two_servers() as (server, _):
        server.content = archive.getvalue()
        monkeypatch.setenv("SMALTI_ALLOWED_ORIGINS", server.origin)
        here = ModuleType("example_com_is_here")
        vars(here)["download_dataset"] = lambda url, name: datasets.download_dataset(
            url.replace("https://example.com", server.origin), name
        )
        monkeypatch.setitem(sys.modules, here.__name__, here)
        run(blocks["Remote Datasets 2"], {}, {"neuromosaic.utils.storage_manager": here.__name__})
        assert server.asked[0]["path"] == "/dataset.zip"
    assert (root / "data" / "external" / "custom_dataset" / "table.csv").read_text() == "a,b\n1,2\n"


def test_each_command_of_dvc_has_its_own_here(blocks: dict[str, Block], root: Path) -> None:
    from smalti.cli import app

    ours = {"add": "put", "push": "push", "pull": "pull"}
    lines = [line for line in blocks["Data Versioning 1"].text.splitlines() if line and not line.startswith("#")]
    assert [line.split()[:2] for line in lines] == [["dvc", command] for command in ours]
    helped = CliRunner().invoke(app, ["--help"]).output
    assert [command for command in ours.values() if f" {command} " not in helped] == []
    file = root / lines[0].split()[2]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"PK large")
    result = CliRunner().invoke(app, ["put", str(file.relative_to(root))])
    assert result.exit_code == 0, result.output
    assert file.read_bytes() == b"PK large"


def test_the_credentials_of_a_private_dataset_are_read_from_the_file(
    blocks: dict[str, Block], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATASET_API_KEY", "DATASET_USERNAME"):
        monkeypatch.delenv(name, raising=False)
    (root / ".env").write_text(blocks["Access Control 1"].text)
    from smalti.datasets.credentials import Credentials

    header = Credentials().for_dataset("https://example.com/private.zip")["Authorization"]
    assert header.startswith("Basic ")
    assert "your_key_here" not in repr(Settings())
    (root / ".env").write_text("")
    with pytest.raises(Refused, match="DATASET_API_KEY"):
        Credentials().for_dataset("https://example.com/private.zip")


@pytest.mark.usefixtures("forgotten", "root")
def test_a_new_dataset_is_registered_and_asks_for_its_documentation(blocks: dict[str, Block]) -> None:
    function = run(blocks["Adding New Datasets 1"], {"register_dataset": register_dataset})["fetch_new_dataset"]
    assert fetchers()["new-dataset"].function is function
    assert function() is None
    with pytest.raises(Refused, match="has no card, so its source and licence are not known"):
        fetch_dataset("new_dataset")
    card = DatasetCard(name="new_dataset", source="here", version="1", licence="CC0-1.0")
    _registered.clear()
    register_dataset(card=card)(function)
    with pytest.raises(Refused, match="returned nothing; let it return the dataset"):
        fetch_dataset("new_dataset")


def test_a_checkpoint_is_saved_where_the_document_says(blocks: dict[str, Block], root: Path) -> None:
    from smalti.training import load_checkpoint

    model = nn.Linear(3, 2)
    metrics: dict[str, Any] = {"loss": 0.25, "accuracy": 0.9}
    run(blocks["Artifacts Management 1"], {"model": model, "metrics": metrics})
    path = root / "experiments" / "run_123" / "checkpoints" / "model_best.pt"
    assert path.exists()
    other = nn.Linear(3, 2)
    load_checkpoint(path, other)
    assert np.array_equal(np.array(other.weight), np.array(model.weight))
    assert mx.array_equal(other.bias, model.bias)
