"""Laws of the stream: every sample exactly once, an end, a bounded buffer, and the same order with any threads."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import open_store
from smalti.errors import Refused
from smalti.loaders import StreamingConfig, StreamingPipeline
from smalti.loaders.read_ahead import THREAD_NAME
from smalti.loaders.streaming import shortfall

CONFIGS = st.builds(
    dict,
    chunk_size=st.integers(1, 9),
    buffer_size=st.integers(9, 40),
    num_workers=st.integers(0, 3),
    shuffle=st.booleans(),
)


class Rows:
    """An iterable that can be iterated anew."""

    def __init__(self, count: int, error_at: int | None = None) -> None:
        self.count, self.error_at = count, error_at

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for n in range(self.count):
            if n == self.error_at:
                raise OSError("the line is dead")
            yield {"x": n, "text": str(n)}


FORMS: dict[str, Any] = {
    "samples": lambda count: [{"x": n, "text": str(n)} for n in range(count)],
    "arrays": lambda count: {"x": np.arange(count), "y": np.arange(count * 3).reshape(count, 3)},
    "table": lambda count: pa.table({"x": np.arange(count), "text": list(map(str, range(count)))}),
    "iterable": Rows,
}


def numbers(samples: Any) -> list[int]:
    return [int(sample["x"]) for sample in samples]


def loader_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]


@pytest.mark.parametrize("form", FORMS)
@settings(deadline=None, max_examples=25)
@given(count=st.integers(0, 70), config=CONFIGS)
def test_every_sample_comes_once_and_the_stream_ends(form: str, count: int, config: dict[str, Any]) -> None:
    pipeline = StreamingPipeline(FORMS[form](count), StreamingConfig(**config))
    pipeline.start()
    found = numbers(pipeline)
    assert sorted(found) == list(range(count))
    if not config["shuffle"]:
        assert found == list(range(count))
    assert numbers(StreamingPipeline(FORMS[form](count), StreamingConfig(**{**config, "num_workers": 0}))) == found
    assert not loader_threads()


@pytest.mark.parametrize("form", FORMS)
@settings(deadline=None, max_examples=25)
@given(count=st.integers(1, 70), config=CONFIGS, stop=st.integers(0, 70), workers=st.integers(0, 3))
def test_a_stream_goes_on_where_it_was_left_with_other_workers(
    form: str, count: int, config: dict[str, Any], stop: int, workers: int
) -> None:
    whole = StreamingPipeline(FORMS[form](count), StreamingConfig(**config))
    epochs = [numbers(whole), numbers(whole)]
    first = StreamingPipeline(FORMS[form](count), StreamingConfig(**config))
    given_ = []
    for sample in first:
        given_.append(int(sample["x"]))
        if len(given_) == stop:
            break
    state = json.loads(json.dumps(first.state_dict()))
    second = StreamingPipeline(FORMS[form](count), StreamingConfig(**{**config, "num_workers": workers}))
    second.load_state_dict(state)
    if len(given_) == stop:
        assert given_ + numbers(second) == epochs[0]
    assert numbers(second) == epochs[1]


@pytest.mark.parametrize("form", FORMS)
@settings(deadline=None, max_examples=20)
@given(count=st.integers(0, 50), config=CONFIGS, size=st.integers(1, 12), drop_last=st.booleans())
def test_batches_are_the_stream_in_pieces(
    form: str, count: int, config: dict[str, Any], size: int, drop_last: bool
) -> None:
    pipeline = StreamingPipeline(FORMS[form](count), StreamingConfig(**config))
    samples = numbers(pipeline)
    pipeline = StreamingPipeline(FORMS[form](count), StreamingConfig(**config))
    batches = [batch["x"].tolist() for batch in pipeline.stream_batches(size, drop_last=drop_last, numpy=True)]
    wanted = [samples[at : at + size] for at in range(0, count, size)]
    assert batches == [batch for batch in wanted if len(batch) == size or not drop_last]


@pytest.mark.parametrize("shuffle", [False, True])
def test_arrays_and_tables_of_a_store_and_files_are_streamed(tmp_path: Path, shuffle: bool) -> None:
    store = open_store(tmp_path / "store")
    rows = np.random.default_rng(0).random((3000, 60))
    table = pa.table({"x": np.arange(10_000), "ids": [[n] * (n % 4) for n in range(10_000)]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=700)
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    config = StreamingConfig(buffer_size=1600, chunk_size=100, shuffle=shuffle)
    taken = [sample["data"] for sample in StreamingPipeline(store.open(store.put(rows)), config)]
    order = np.argsort([row[0] for row in taken])
    np.testing.assert_array_equal(np.array(taken)[order], rows[np.argsort(rows[:, 0])])
    for dataset in (store.open(store.put(table)), tmp_path / "t.parquet", tmp_path / "t.jsonl"):
        found = list(StreamingPipeline(dataset, config))
        assert sorted(numbers(found)) == list(range(10_000))
        assert (numbers(found) == list(range(10_000))) is not shuffle
        assert all(len(sample["ids"]) == sample["x"] % 4 for sample in found)


def test_the_buffer_keeps_to_samples_and_bytes() -> None:
    rows = np.zeros((4000, 1000), np.uint8)
    pipeline = StreamingPipeline(rows, StreamingConfig(buffer_size=400, chunk_size=50, num_workers=3))
    for _ in pipeline:
        time.sleep(1e-6)
    assert 100 <= pipeline.stats["peak_buffer_samples"] <= 400
    assert pipeline.stats["peak_buffer_bytes"] <= 400 * 1000
    few = StreamingPipeline(rows, StreamingConfig(buffer_size=400, chunk_size=50, num_workers=3, buffer_mb=0.12))
    assert len(list(few)) == 4000
    assert few.stats["peak_buffer_bytes"] <= 0.12e6
    none = StreamingPipeline(rows, StreamingConfig(chunk_size=50, buffer_mb=0.04))
    with pytest.raises(Refused, match=r"50 samples, which are read at once, take 0.05 MB, .*smaller chunk_size"):
        list(none)


def test_stop_ends_the_iteration_also_from_another_thread_and_with_workers_at_work() -> None:
    class Slow(list[dict[str, int]]):
        def __getitem__(self, index: Any) -> Any:
            time.sleep(0.002)
            return super().__getitem__(index)

    pipeline = StreamingPipeline(
        Slow({"x": n} for n in range(10_000)), StreamingConfig(buffer_size=64, chunk_size=8, num_workers=4)
    )
    pipeline.start()
    pipeline.stop()
    assert not loader_threads()
    threading.Timer(0.1, pipeline.stop).start()
    found = numbers(pipeline)
    assert found == list(range(len(found)))
    assert len(found) < 10_000
    assert not loader_threads()
    with pipeline:
        for number, _ in enumerate(pipeline):
            if number == 20:
                pipeline.stop()
    assert number == 20
    pipeline.stop()


def test_an_error_of_a_worker_is_the_consumers() -> None:
    for workers in (0, 2):
        config = StreamingConfig(buffer_size=8, chunk_size=4, num_workers=workers)
        found = []
        with pytest.raises(Refused, match="a sample after the first 8 cannot be read: OSError: the line is dead"):
            found.extend(sample for sample in StreamingPipeline(Rows(20, error_at=10), config))
        assert numbers(found) == list(range(8))
    assert not loader_threads()


def test_an_iterator_can_be_streamed_once() -> None:
    pipeline = StreamingPipeline(iter(Rows(20)), StreamingConfig(buffer_size=8, chunk_size=4))
    assert numbers(pipeline) == list(range(20))
    with pytest.raises(Refused, match="this iterator was read already"):
        list(pipeline)


def test_samples_that_hold_mlx_arrays_stay_in_the_consumers_thread() -> None:
    def draw() -> Iterator[dict[str, Any]]:
        for n in range(20):
            yield {"x": mx.array(n), "thread": threading.current_thread().name}

    samples = list(StreamingPipeline(draw(), StreamingConfig(buffer_size=8, chunk_size=4, num_workers=3)))
    assert numbers(samples) == list(range(20))
    assert {sample["thread"] for sample in samples} == {threading.current_thread().name}


def test_batches_are_mlx_arrays_and_ragged_ones_are_padded() -> None:
    samples = [{"input_ids": [1] * (n % 5 + 1), "labels": n} for n in range(10)]
    batches = list(StreamingPipeline(samples, StreamingConfig(chunk_size=3)).stream_batches(4))
    assert [batch["input_ids"].shape for batch in batches] == [(4, 8), (4, 8), (2, 8)]
    assert all(isinstance(value, mx.array) for batch in batches for value in batch.values())


def test_a_target_that_is_missed_is_said_once_with_what_holds_it_up() -> None:
    pipeline = StreamingPipeline({"x": np.arange(100)}, StreamingConfig(target_throughput=1e12))
    with pytest.warns(UserWarning, match=r"below target_throughput=1e\+12; it is held up by") as said:
        assert [len(list(pipeline)) for _ in range(2)] == [100, 100]
    assert len(said) == 1
    assert shortfall(100, 1.0, 0.9, target=99) is None
    assert "reading: the consumer waited 90% of the time" in str(shortfall(100, 1.0, 0.9, target=101))
    assert "the consumer: it waited for samples only 10% of the time" in str(shortfall(100, 1.0, 0.1, target=101))


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"chunk_size": 0}, "chunk one sample"),
        ({"buffer_size": 10, "chunk_size": 20}, "a buffer holds at least one chunk"),
        ({"num_workers": -1}, "num_workers and seed are 0 or more"),
        ({"buffer_mb": 0}, "buffer_mb is above 0"),
        ({"target_throughput": 0}, "target_throughput=0"),
    ],
)
def test_settings_that_cannot_be_are_refused(given_: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        StreamingConfig(**given_)


def test_a_state_of_another_shuffling_is_refused() -> None:
    state = StreamingPipeline(FORMS["samples"](9), StreamingConfig(shuffle=True)).state_dict()
    with pytest.raises(Refused, match=r"window is \(1024, 256\) in the state and \(1024, 8\) here"):
        StreamingPipeline(FORMS["samples"](9), StreamingConfig(shuffle=True, chunk_size=8)).load_state_dict(state)


def test_a_second_iteration_ends_the_first_with_a_word() -> None:
    pipeline = StreamingPipeline(FORMS["samples"](20), StreamingConfig(buffer_size=8, chunk_size=4))
    first, second = iter(pipeline), iter(pipeline)
    assert next(second) == {"x": 0, "text": "0"}
    with pytest.raises(Refused, match="this stream was iterated anew"):
        list(first)
    assert len(list(second)) == 19


def test_batches_whose_keys_or_samples_differ_are_refused() -> None:
    samples = [{"x": n, "labels": n} if n < 3 else {"x": n} for n in range(6)]
    for size, words in (
        (2, "sample 3 of the stream has no 'labels', but sample 2 of the stream has"),
        (3, "has the keys"),
    ):
        with pytest.raises(Refused, match=words):
            list(StreamingPipeline(samples, StreamingConfig()).stream_batches(size))
