"""Laws of datasets: in memory, a file or a store, the same samples give the same batches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smalti import Store, open_store
from smalti.errors import Damaged, NotFound, Refused
from smalti.loaders import MLXDataLoader, MLXLoaderConfig
from smalti.loaders.sources import source_of

COUNT = 50
RNG = np.random.default_rng(0)
IDS = [RNG.integers(1, 99, n % 7 + 1).tolist() for n in range(COUNT)]
TEXTS = [f"row {n}" for n in range(COUNT)]
LABELS = list(range(COUNT))
IMAGES = RNG.random((COUNT, 4, 4), np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def table() -> pa.Table:
    images = pa.FixedSizeListArray.from_arrays(pa.FixedSizeListArray.from_arrays(IMAGES.ravel(), 4), 4)
    columns = {
        "input_ids": pa.array(IDS, pa.list_(pa.int32())),
        "text": pa.array(TEXTS),
        "labels": pa.array(LABELS, pa.int32()),
        "images": images,
    }
    return pa.concat_tables([pa.table(columns).slice(0, 20), pa.table(columns).slice(20)])  # of several chunks


def samples() -> list[dict[str, Any]]:
    return [
        dict(zip(("input_ids", "text", "labels", "images"), row, strict=True))
        for row in zip(IDS, TEXTS, LABELS, IMAGES, strict=True)
    ]


def json_lines(path: Path) -> Path:
    lines = [json.dumps({**sample, "images": sample["images"].tolist()}) for sample in samples()]
    path.write_text("\n" + "\n\n".join(lines))  # empty lines, and no newline at the end
    return path


def parquet(path: Path) -> Path:
    pq.write_table(table(), path, row_group_size=7)
    return path


FORMS = {
    "samples": lambda path, store: samples(),
    "pyarrow": lambda path, store: table(),
    "stored table": lambda path, store: store.open(store.put(table())),
    "stored DataFrame": lambda path, store: store.open(
        store.put(pd.DataFrame({"input_ids": IDS, "text": TEXTS, "labels": np.array(LABELS, np.int32)}))
    ),
    "json lines": lambda path, store: json_lines(path / "rows.jsonl"),
    "parquet": lambda path, store: parquet(path / "rows.parquet"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_samples_gives_the_same_batches(form: str, tmp_path: Path, store: Store) -> None:
    config = MLXLoaderConfig(batch_size=8, num_workers=2, bucket_lengths=(8,))
    batches = list(MLXDataLoader(FORMS[form](tmp_path, store), config))
    order = np.random.default_rng([0, 0]).permutation(COUNT)
    assert [label for batch in batches for label in batch["labels"].tolist()] == order.tolist()
    assert [text for batch in batches for text in batch["text"]] == [TEXTS[n] for n in order]
    ids = np.concatenate([np.asarray(batch["input_ids"]) for batch in batches])
    masks = np.concatenate([np.asarray(batch["attention_mask"]) for batch in batches])
    assert [row[mask == 1].tolist() for row, mask in zip(ids, masks, strict=True)] == [IDS[n] for n in order]
    if form != "stored DataFrame":
        images = np.concatenate([np.asarray(batch["images"]) for batch in batches])
        np.testing.assert_allclose(images, IMAGES[order], rtol=1e-6)


def opened(store: Store) -> Any:
    return store.open(store.put(IMAGES))


ARRAYS = {
    "numpy": lambda path, store: IMAGES,
    "not contiguous": lambda path, store: np.asfortranarray(IMAGES),
    "mlx": lambda path, store: mx.array(IMAGES),
    "stored": lambda path, store: opened(store),
    "in memory": lambda path, store: opened(open_store("memory:")),
    "a file that numpy wrote": lambda path, store: np.save(path / "x.npy", IMAGES) or path / "x.npy",
    "the name of a file": lambda path, store: np.save(path / "x.npy", IMAGES) or str(path / "x.npy"),
}


@pytest.mark.parametrize("form", ARRAYS)
def test_an_array_is_a_dataset_of_its_rows(form: str, tmp_path: Path, store: Store) -> None:
    loader = MLXDataLoader(ARRAYS[form](tmp_path, store), MLXLoaderConfig(batch_size=8, num_workers=0))
    rows = np.concatenate([np.asarray(batch["data"]) for batch in loader])
    np.testing.assert_array_equal(rows, IMAGES[np.random.default_rng([0, 0]).permutation(COUNT)])


def test_a_stored_tree_of_arrays_is_a_dataset_with_the_digest_of_each(store: Store) -> None:
    tree = store.open(store.put({"x": IMAGES, "y": np.arange(COUNT), "about": "attributes are no samples"}))
    loader = MLXDataLoader(tree, MLXLoaderConfig(batch_size=50, shuffle=False))
    batch = next(iter(loader))
    np.testing.assert_array_equal(np.asarray(batch["x"]), IMAGES)
    assert batch["y"].tolist() == list(range(COUNT))
    assert loader.state_dict()["digests"] == {"x": tree.children["x"].digest, "y": tree.children["y"].digest}


def test_damage_in_a_store_is_met_by_the_batch_that_holds_it_and_no_other(store: Store) -> None:
    rows = RNG.random((40, 64, 64), np.float32)
    ref = store.put(rows)
    path = store.file(ref)
    assert path is not None
    content = bytearray(path.read_bytes())
    content[content.index(rows[30].tobytes())] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    loader = MLXDataLoader({"x": store.open(ref)}, MLXLoaderConfig(batch_size=10, shuffle=False, num_workers=2))
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    with pytest.raises(Damaged, match=r"data\.npy of sha256"):
        next(batches)


def test_dates_and_texts_come_as_lists_and_missing_floats_as_no_number() -> None:
    frame = pd.DataFrame(
        {
            "when": pd.to_datetime(["2020-01-01", "2020-01-02"]),
            "kind": pd.Categorical(["a", "b"]),
            "name": ["x", None],
            "price": [1.5, None],
        }
    )
    (batch,) = list(MLXDataLoader(frame, MLXLoaderConfig(shuffle=False)))
    assert batch["kind"] == ["a", "b"]
    assert batch["name"] == ["x", None]
    assert [str(one)[:10] for one in batch["when"]] == ["2020-01-01", "2020-01-02"]
    assert isinstance(batch["price"], mx.array)
    assert np.isnan(np.asarray(batch["price"])).tolist() == [False, True]


REFUSED: dict[str, Any] = {
    "column 'x' of int64 has 1 missing values; fill them": lambda: pa.table({"x": pa.array([1, None])}),
    "column 'x' of list<.*> has 1 missing values": lambda: pa.table({"x": pa.array([[1], None])}),
    "column 'x' of int64 has 1 missing": lambda: pa.table({"x": pa.array([[1], [None]], pa.list_(pa.int64()))}),
    r"one first axis in common, these have \{'x': \(3,\), 'y': \(2,\)\}": lambda: {"x": np.zeros(3), "y": np.zeros(2)},
    r"these are not: \{'name': 'str'\}": lambda: {"x": np.zeros(3), "name": "no array"},
    "a generator is no dataset; .* StreamingPipeline": lambda: (n for n in range(3)),
    "a int is no dataset": lambda: 3,
    "sample 0 is a tuple; a sample is a mapping": lambda: [(1, 2)],
    "is no dataset; a file is one with the ending": lambda: "data.csv",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_no_dataset_is_refused_with_what_to_do(words: str) -> None:
    with pytest.raises(Refused, match=words):
        list(MLXDataLoader(REFUSED[words](), MLXLoaderConfig(shuffle=False, num_workers=0)))


def test_files_that_are_not_there_or_something_else_are_said(tmp_path: Path) -> None:
    for name in ("no.parquet", "no.jsonl"):
        with pytest.raises(NotFound, match=f"there is no file .*{name}"):
            source_of(tmp_path / name, ())
    (tmp_path / "text.parquet").write_text("no Parquet")
    with pytest.raises(Refused, match="is no Parquet file"):
        source_of(tmp_path / "text.parquet", ())
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(Refused, match=r"is no \.npy file"):
        source_of(tmp_path / "text.npy", ())
    (tmp_path / "bad.jsonl").write_text('{"x": 1}\n{"x": \n[1]\n')
    for row, words in (
        (1, r"sample 1 of .*bad.jsonl is no JSON \(Expecting value, at character 8\)"),
        (2, "sample 2 .* is a JSON list; each line is an object"),
    ):
        with pytest.raises(Refused, match=words):
            MLXDataLoader(tmp_path / "bad.jsonl", MLXLoaderConfig())._source.read(np.array([row]), None)  # type: ignore[arg-type]


def test_get_batch_has_to_give_one_value_for_each_sample_asked_for() -> None:
    class Short:
        def __len__(self) -> int:
            return 4

        def get_batch(self, indices: np.ndarray) -> Any:
            return {"x": np.zeros(3)}

    with pytest.raises(Refused, match="'x' of 4 samples of Short is not 4 long"):
        list(MLXDataLoader(Short(), MLXLoaderConfig(num_workers=0)))


def test_importing_the_loaders_brings_in_no_large_library() -> None:
    code = (
        "import sys, smalti.loaders, smalti.loaders.mlx_loader, smalti.loaders.streaming, smalti.loaders.memory; "
        "print([m for m in ('mlx', 'pandas', 'pyarrow', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
