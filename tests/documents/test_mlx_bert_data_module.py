"""Every code block of the MLX-BERT document runs here, with only its import lines changed."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx import nn

from smalti.datasets import (
    CompetitionMetadata,
    CompetitionType,
    DatasetRegistry,
    DatasetSpec,
    KaggleDataset,
    TitanicDataset,
)
from tests.documents.blocks import MODULES, Block, names_in_tree, read, run

ROOT = Path(__file__).parents[2]

# What is done with each block; a block that is not here is one that nobody has looked at.
KNOWN = {
    "Architecture Overview 1": "each file of the tree has its module here",
    "CompetitionType 1": "an excerpt: its members are ours",
    "DatasetSpec 1": "an excerpt: its fields are ours",
    "KaggleDataset 1": "an excerpt: its signature and abstract method are ours",
    "2. Dataset Registry (`core/registry.py`) 1": "run",
    "3. MLX Data Loader (`loaders/mlx_loader.py`) 1": "run",
    "4. Streaming Pipeline (`loaders/streaming.py`) 1": "run",
    "5. Template Engine (`templates/engine.py`) 1": "run",
    "Step 1: Create Dataset Class 1": "run, loaded, and discovered",
    "Step 3: Create Competition Spec 1": "run",
    "1. Memory Management 1": "run",
    "2. Profiling and Monitoring 1": "run",
    "Usage Example 1": "run",
    "Testing 1": "the tests it names are here",
    "Debug Mode 1": "run",
}


@pytest.fixture(scope="session")
def blocks(spec_folder: Path) -> dict[str, Block]:
    return read(spec_folder, "mlx_bert_data_module.md")


@pytest.fixture
def dataset(titanic_spec: DatasetSpec) -> KaggleDataset:
    return TitanicDataset(titanic_spec)


def test_no_block_is_forgotten(blocks: dict[str, Block]) -> None:
    assert list(blocks) == list(KNOWN)


def test_every_file_of_the_tree_has_its_module_here(blocks: dict[str, Block]) -> None:
    files = [name for name in names_in_tree(blocks["Architecture Overview 1"]) if name.endswith(".py")]
    assert len(files) == 11
    elsewhere = {
        "data.datasets.__init__": "smalti.datasets",
        "data.templates.base_template": "smalti.templates.base_template",
    }
    homes = {**MODULES, **elsewhere}
    for file in files:
        home = homes["data." + file.removesuffix(".py").replace("/", ".")]
        assert isinstance(home, str)
        assert importlib.util.find_spec(home), f"{file} is {home}"


def test_the_members_of_the_excerpt_are_ours(blocks: dict[str, Block]) -> None:
    theirs = run(blocks["CompetitionType 1"], {"Enum": Enum})["CompetitionType"]
    assert len(theirs) == 3
    assert {member.name: member.value for member in theirs}.items() <= {
        m.name: m.value for m in CompetitionType
    }.items()


def test_the_fields_of_the_excerpt_are_ours_in_order(blocks: dict[str, Block]) -> None:
    theirs = run(blocks["DatasetSpec 1"], {"dataclass": dataclass, "Path": Path, "CompetitionType": CompetitionType})[
        "DatasetSpec"
    ]
    wanted = [field.name for field in dataclasses.fields(theirs)]
    assert wanted == [field.name for field in dataclasses.fields(DatasetSpec)][: len(wanted)]
    arguments = ("titanic", Path("data"), CompetitionType.RANKING, 10, 3)
    assert all(getattr(DatasetSpec(*arguments), name) == getattr(theirs(*arguments), name) for name in wanted)


def test_the_class_of_the_excerpt_is_ours(blocks: dict[str, Block]) -> None:
    names = {"ABC": ABC, "abstractmethod": abstractmethod, "DatasetSpec": DatasetSpec, "Dict": dict, "Any": Any}
    theirs = run(blocks["KaggleDataset 1"], names)["KaggleDataset"]
    assert theirs.__abstractmethods__ <= KaggleDataset.__abstractmethods__
    assert issubclass(KaggleDataset, ABC)
    for method in ("__init__", "__getitem__"):
        wanted = list(inspect.signature(getattr(theirs, method)).parameters.values())
        ours = list(inspect.signature(getattr(KaggleDataset, method)).parameters.values())[: len(wanted)]
        assert [(p.name, p.default, p.kind) for p in ours] == [(p.name, p.default, p.kind) for p in wanted]


def test_a_competition_is_registered_listed_and_searched(
    blocks: dict[str, Block], root: Path, titanic_spec: DatasetSpec
) -> None:
    names = {
        "DatasetRegistry": DatasetRegistry,
        "CompetitionType": CompetitionType,
        "metadata": CompetitionMetadata("titanic", CompetitionType.BINARY_CLASSIFICATION),
        "spec": titanic_spec,
    }
    after = run(blocks["2. Dataset Registry (`core/registry.py`) 1"], names)
    assert after["competitions"] == after["results"] == ["titanic"]
    assert DatasetRegistry().get("titanic").spec == titanic_spec


@pytest.mark.filterwarnings("ignore:use_unified_memory", "ignore:pin_memory")
def test_batches_are_arrays_of_mlx(blocks: dict[str, Block], dataset: KaggleDataset) -> None:
    after = run(blocks["3. MLX Data Loader (`loaders/mlx_loader.py`) 1"], {"dataset": dataset})
    for name in ("input_ids", "attention_mask", "labels"):
        assert isinstance(after[name], mx.array), name
    assert len(after["loader"]) == 4  # 120 passengers in batches of 32
    assert after["input_ids"].shape == after["attention_mask"].shape == (24, 48)
    assert after["labels"].shape == (24,)


@pytest.mark.filterwarnings("ignore:the stream gives")
def test_every_sample_is_streamed_once(blocks: dict[str, Block], dataset: KaggleDataset) -> None:
    names = {"dataset": dataset}
    block = blocks["4. Streaming Pipeline (`loaders/streaming.py`) 1"]
    after = run(block, names)
    assert after["sample"].keys() >= {"input_ids", "attention_mask", "labels"}
    seen: list[Any] = []
    counted = Block(
        block.key, block.language, block.text.replace("    pass", "    seen.append(sample['metadata']['id'])")
    )
    run(counted, {**names, "seen": seen})
    assert sorted(seen) == list(range(1, 121))


def test_a_table_becomes_one_text_for_each_row(blocks: dict[str, Block], dataset: KaggleDataset) -> None:
    from smalti.templates.builtin import BUILT_IN

    template = next(template for template in BUILT_IN if template.name == "titanic_v1")
    names = {"competition_template": template, "df": dataset._data}
    texts = run(blocks["5. Template Engine (`templates/engine.py`) 1"], names)["texts"]
    assert len(texts) == len(dataset)
    assert texts == [sample["text"] for sample in dataset]


@pytest.mark.filterwarnings("ignore:column 'SalePrice' has the name of a target")
def test_the_house_prices_example_is_a_dataset_that_a_loader_reads(
    blocks: dict[str, Block], house_prices: Path
) -> None:
    from smalti.loaders.mlx_loader import MLXDataLoader, MLXLoaderConfig

    names = {"Dict": dict, "Any": Any}
    cls = run(blocks["Step 1: Create Dataset Class 1"], names)["HousePricesDataset"]
    spec = DatasetSpec("house-prices", house_prices, CompetitionType.REGRESSION, 40, 79, recommended_max_length=256)
    train, test = cls(spec), cls(spec, split="test")
    assert (len(train), len(test)) == (40, 10)
    sample = train[3]
    assert isinstance(sample["input_ids"], mx.array)
    assert sample["input_ids"].shape == sample["attention_mask"].shape == (256,)
    assert sample["labels"].tolist() == [102_000.0]
    assert train.get_sample_by_id(4)["text"] == sample["text"]
    assert "labels" not in test[0]
    batches = list(MLXDataLoader(train, MLXLoaderConfig(batch_size=16, shuffle=False)))
    assert [batch["labels"].shape[0] for batch in batches] == [16, 16, 8]
    assert mx.array_equal(batches[0]["input_ids"][3], sample["input_ids"])
    (house_prices / "train.csv").write_text("Id\n1\n")
    with pytest.raises(ValueError, match="Missing required column: SalePrice"):
        cls(spec)


@pytest.mark.filterwarnings("ignore:column 'SalePrice' has the name of a target")
def test_the_example_is_discovered_in_its_folder_and_registered_under_its_name(
    blocks: dict[str, Block], house_prices: Path, root: Path
) -> None:
    from tests.documents.blocks import with_our_imports

    folder = root / "data" / "datasets"
    folder.mkdir()
    code = with_our_imports(blocks["Step 1: Create Dataset Class 1"].text)
    (folder / "house_prices.py").write_text(f"from typing import Any, Dict\n{code}")
    registry = DatasetRegistry()
    names = {"registry": registry, "DatasetSpec": DatasetSpec, "CompetitionType": CompetitionType, "Path": Path}
    after = run(blocks["Step 3: Create Competition Spec 1"], names)
    assert DatasetRegistry().search_competitions("regression") == ["house-prices"]
    assert registry.get("house-prices").metadata == after["metadata"]
    assert registry.get("house-prices").spec == after["spec"]
    found = registry.create_dataset("house-prices")
    assert inspect.getfile(type(found)) == str(folder / "house_prices.py")
    assert found[0]["metadata"] == {"id": 1}


def test_the_spec_of_the_example_derives_what_the_document_leaves_out(blocks: dict[str, Block], root: Path) -> None:
    names = {
        "registry": DatasetRegistry(),
        "DatasetSpec": DatasetSpec,
        "CompetitionType": CompetitionType,
        "Path": Path,
    }
    spec = run(blocks["Step 3: Create Competition Spec 1"], names)["spec"]
    assert (spec.num_classes, spec.prefetch_size, spec.recommended_batch_size) == (1, 2, 32)


@pytest.mark.filterwarnings("ignore:use_unified_memory")
def test_a_tensor_is_allocated_and_cached(blocks: dict[str, Block]) -> None:
    after = run(blocks["1. Memory Management 1"], {"mx": mx})
    assert after["tensor"].shape == (32, 512)
    assert after["tensor"].dtype == mx.float32
    if hasattr(after["manager"], "close"):
        after["manager"].close()


def test_a_profile_is_printed(
    blocks: dict[str, Block], dataset: KaggleDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    from smalti.loaders.mlx_loader import MLXDataLoader, MLXLoaderConfig

    loader = MLXDataLoader(dataset, MLXLoaderConfig(batch_size=32))
    profile = run(blocks["2. Profiling and Monitoring 1"], {"loader": loader})["profile"]
    assert profile["throughput_samples_per_sec"] > 0
    assert profile["avg_batch_time_ms"] > 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in printed] == ["Throughput", "Avg batch time"]


def test_a_model_is_given_batches(blocks: dict[str, Block], titanic_spec: DatasetSpec) -> None:
    embedding, head = nn.Embedding(9000, 8), nn.Linear(8, 2)

    def model(ids: mx.array, mask: mx.array) -> mx.array:
        weights = mask[..., None] / mask.sum(axis=1)[:, None, None]
        return head((embedding(ids) * weights).sum(axis=1))

    def compute_loss(outputs: mx.array, labels: mx.array) -> mx.array:
        return nn.losses.cross_entropy(outputs, labels, reduction="mean")

    after = run(blocks["Usage Example 1"], {"spec": titanic_spec, "model": model, "compute_loss": compute_loss})
    assert after["outputs"].shape == (24, 2)
    assert 0 < after["loss"].item() < 10


def test_the_tests_that_are_named_are_here(blocks: dict[str, Block]) -> None:
    named = [line for line in blocks["Testing 1"].text.splitlines() if line and not line.startswith("#")]
    assert all(line.startswith("pytest tests/unit/data/") for line in named)
    rooms = [ROOT / "tests" / "unit" / room for room in ("datasets", "loaders", "templates")]
    assert [room.name for room in rooms if not list(room.glob("test_*.py"))] == []


def test_debug_logging_tells_what_is_loaded(
    blocks: dict[str, Block], titanic_spec: DatasetSpec, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("data")
    before = logger.level
    try:
        TitanicDataset(titanic_spec)
        assert caplog.messages == []
        run(blocks["Debug Mode 1"], {})
        TitanicDataset(titanic_spec)
        assert caplog.messages == ["TitanicDataset: 120 samples in the train split of titanic"]
    finally:
        logger.setLevel(before)
