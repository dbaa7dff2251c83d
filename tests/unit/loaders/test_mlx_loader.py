"""Laws of the loader: every sample once an epoch, whoever reads; errors name the sample, and no thread stays."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from smalti.errors import Damaged, Refused
from smalti.loaders import MLXDataLoader, MLXLoaderConfig
from smalti.loaders.read_ahead import THREAD_NAME


class Texts:
    """Samples as a tokenizer gives them."""

    def __init__(self, count: int = 37) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": list(range(1, index % 11 + 2)), "labels": index, "metadata": {"id": f"row {index}"}}


class ArraysOfMlx(Texts):
    """The samples of the documented example, which remember which thread asked."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[str] = set()

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.threads.add(threading.current_thread().name)
        sample = super().__getitem__(index)
        return {**sample, "input_ids": mx.array(sample["input_ids"]), "labels": mx.array([float(index)])}


class Broken(Texts):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index == 23:
            raise self.error
        return super().__getitem__(index)


class AtOnce(Texts):
    def get_batch(self, indices: np.ndarray) -> dict[str, Any]:
        assert indices.dtype == np.int64
        return {
            "labels": indices * 1,
            "input_ids": [[1] * (int(i) % 5) for i in indices],
            "name": list(map(str, indices)),
        }


class AsTorch(Texts):
    def __getitems__(self, indices: list[int]) -> list[dict[str, Any]]:
        return [self[index] for index in indices]


def labels_of(batches: Sequence[dict[str, Any]]) -> list[int]:
    return [int(label) for batch in batches for label in np.ravel(np.asarray(batch["labels"]))]


def loader_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]


@pytest.mark.parametrize("workers", [0, 1, 3, "auto"])
@pytest.mark.parametrize("dataset", [Texts(), AtOnce(), AsTorch()], ids=lambda d: type(d).__name__)
def test_an_epoch_is_every_sample_once_in_the_same_order_whoever_reads(dataset: Texts, workers: Any) -> None:
    def loader(workers: Any) -> MLXDataLoader:
        return MLXDataLoader(dataset, MLXLoaderConfig(batch_size=5, num_workers=workers, seed=4))

    batches = list(loader(workers))
    assert [len(batch["labels"]) for batch in batches] == [5] * 7 + [2]
    assert len(loader(workers)) == len(batches)
    assert sorted(labels_of(batches)) == list(range(37))
    assert labels_of(batches) == labels_of(list(loader(0)))
    for batch in batches:
        assert isinstance(batch["input_ids"], mx.array)
        assert batch["attention_mask"].shape == batch["input_ids"].shape
    assert not loader_threads()


def test_samples_that_hold_mlx_arrays_are_read_in_the_thread_they_belong_to() -> None:
    dataset = ArraysOfMlx()
    loader = MLXDataLoader(dataset, MLXLoaderConfig(batch_size=4, num_workers=4, prefetch_size=4))
    with pytest.warns(UserWarning, match="num_workers=4: the samples hold arrays of MLX"):
        batches = list(loader)
    assert dataset.threads == {threading.current_thread().name}
    assert sorted(labels_of(batches)) == list(range(37))
    assert batches[0]["labels"].dtype == mx.float32
    assert batches[0]["labels"].shape == (4, 1)
    assert batches[0]["metadata"][0].keys() == {"id"}


def test_epochs_differ_and_a_loader_can_be_iterated_again_also_after_a_break() -> None:
    loader = MLXDataLoader(Texts(), MLXLoaderConfig(batch_size=5, num_workers=2))
    first = labels_of(list(loader))
    assert loader.epoch == 1
    for _ in loader:
        break
    assert not loader_threads()
    third = labels_of(list(loader))
    assert sorted(first) == sorted(third)
    assert first != third
    assert loader.epoch == 3
    assert third == np.random.default_rng([0, 2]).permutation(37).tolist()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (KeyError("image"), Refused, "sample 23 cannot be read: KeyError: 'image'"),
        (Damaged("a file is damaged."), Damaged, "sample 23: a file is damaged."),
    ],
)
def test_an_error_of_a_worker_is_the_consumers_and_names_the_sample(
    workers: int, error: Exception, kind: type[Exception], words: str
) -> None:
    loader = MLXDataLoader(Broken(error), MLXLoaderConfig(batch_size=5, shuffle=False, num_workers=workers))
    given = []
    with pytest.raises(kind, match=words) as raised:
        given.extend(batch for batch in loader)
    assert raised.value.__cause__ is error
    assert labels_of(given) == list(range(20)), "the batches before the one with the error are given"
    assert not loader_threads()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_a_transform_comes_after_the_batches_before_it_though_several_are_read_at_once(
    workers: int,
) -> None:
    def refuse(batch: dict[str, Any]) -> dict[str, Any]:
        if 50 in batch["x"]:
            raise ValueError("fifty")
        return batch

    data = {"x": np.arange(100), "ids": np.zeros((100, 3))}
    loader = MLXDataLoader(data, MLXLoaderConfig(batch_size=3, shuffle=False, num_workers=workers), transform=refuse)
    given: list[list[int]] = []
    with pytest.raises(ValueError, match="fifty"):
        given.extend(batch["x"].tolist() for batch in loader.numpy())
    assert np.concatenate(given).tolist() == list(range(48))
    assert loader.state_dict()["position"] == 48
    assert not loader_threads()


def test_an_exception_of_the_consumer_leaves_no_threads() -> None:
    loader = MLXDataLoader(Texts(), MLXLoaderConfig(batch_size=2, num_workers=3))

    def train() -> None:
        for _ in loader:
            assert loader_threads()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    gc.collect()
    assert not loader_threads()


def test_a_second_iteration_ends_the_first_rather_than_mix_with_it() -> None:
    loader = MLXDataLoader(Texts(), MLXLoaderConfig(batch_size=5))
    first, second = iter(loader), iter(loader)
    next(second)
    with pytest.raises(Refused, match="was iterated anew"):
        next(first)
    assert len(list(second)) == 7


def test_batches_whose_keys_differ_are_refused_also_one_by_one() -> None:
    samples = [{"x": n, "labels": n} if n < 3 else {"x": n} for n in range(5)]
    loader = MLXDataLoader(samples, MLXLoaderConfig(batch_size=1, shuffle=False))
    with pytest.raises(Refused, match=r"has the keys \['x'\], those before it had \['labels', 'x'\]"):
        list(loader)


def test_a_transform_is_given_numpy_arrays_that_it_may_write_to_and_the_data_stays() -> None:
    data = np.arange(40, dtype=np.float32).reshape(20, 2)
    before = data.copy()

    def halve(batch: dict[str, Any]) -> dict[str, Any]:
        batch["x"] /= 2
        return {**batch, "twice": batch["x"] * 4}

    loader = MLXDataLoader({"x": data}, MLXLoaderConfig(batch_size=6, shuffle=False), transform=halve)
    batches = list(loader.numpy())
    np.testing.assert_array_equal(np.concatenate([batch["x"] for batch in batches]), before / 2)
    np.testing.assert_array_equal(np.concatenate([batch["twice"] for batch in batches]), before * 2)
    np.testing.assert_array_equal(data, before)


@pytest.mark.parametrize("workers", [0, 3])
def test_what_the_consumer_keeps_is_never_written_over(workers: int) -> None:
    data = np.random.default_rng(0).random((200, 50))
    loader = MLXDataLoader({"x": data}, MLXLoaderConfig(batch_size=2, shuffle=False, num_workers=workers))
    rows = [batch["x"][1:].T for batch in loader.numpy()]  # views, of which the batch itself is let go
    np.testing.assert_array_equal(np.concatenate(rows, axis=1).T, data[1::2])


def test_buffers_are_used_again_once_nobody_holds_them() -> None:
    loader = MLXDataLoader({"x": np.zeros((200, 50_000))}, MLXLoaderConfig(batch_size=8, num_workers=0))
    places = {batch["x"].__array_interface__["data"][0] for batch in loader.numpy()}
    assert len(places) <= 3, "batches too large for several to be read at once"
    loader = MLXDataLoader({"x": np.zeros((20_000, 50))}, MLXLoaderConfig(batch_size=2, num_workers=0))
    places = {batch["x"].__array_interface__["data"][0] // 2**20 for batch in loader.numpy()}
    assert len(places) <= 6, "small batches, each a part of a buffer"


def test_micro_batches_make_steps() -> None:
    loader = MLXDataLoader(Texts(22), MLXLoaderConfig(batch_size=4, gradient_accumulation_steps=3))
    assert [len(step) for step in loader.accumulated()] == [3, 3]
    assert [loader.ends_step for _ in loader] == [False, False, True, False, False, True]
    shorter = MLXDataLoader(Texts(17), MLXLoaderConfig(batch_size=4, gradient_accumulation_steps=3))
    assert [len(step) for step in shorter.accumulated()] == [3, 2]


def test_what_an_option_cannot_do_here_is_said() -> None:
    if mx.metal.is_available():
        pytest.skip("this machine has unified memory")
    with pytest.warns(UserWarning, match="use_unified_memory|pin_memory") as said:
        MLXDataLoader(Texts(), MLXLoaderConfig(use_unified_memory=True, pin_memory=True))
    words = [str(one.message) for one in said]
    assert [word.split(":")[0] for word in words] == ["use_unified_memory", "pin_memory"]
    assert {one.filename for one in said} == {__file__}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"num_workers": -1}, "num_workers=-1; give 0 or more"),
        ({"num_workers": 1.5}, "num_workers=1.5"),
        ({"prefetch_size": 0}, "prefetch_size=0; give 1 or more"),
        ({"cache_mb": -1}, "cache_mb=-1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"rank": 1}, "give both"),
    ],
)
def test_settings_that_cannot_be_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        MLXDataLoader(Texts(), MLXLoaderConfig(**given))


def test_no_more_is_read_ahead_than_was_asked_for() -> None:
    read: list[int] = []

    class Counted(Texts):
        def __getitem__(self, index: int) -> dict[str, Any]:
            read.append(index)
            return super().__getitem__(index)

    loader = MLXDataLoader(Counted(), MLXLoaderConfig(batch_size=2, shuffle=False, num_workers=2, prefetch_size=3))
    for number, _ in enumerate(loader):
        time.sleep(0.002)
        assert max(read) < 2 * (number + 1 + 3)
    assert sorted(read) == list(range(37))


def test_an_empty_dataset_has_no_batches() -> None:
    assert list(MLXDataLoader([], MLXLoaderConfig())) == []
    assert list(MLXDataLoader({"x": np.zeros((0, 3))}, MLXLoaderConfig())) == []
