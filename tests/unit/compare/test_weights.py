"""Laws of comparing weights and checkpoints: which tensors, their norms; only tensors that differ are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smalti import BFloat16, Checkpoint, Store, Weights, open_store
from smalti.compare import DocumentDifference, TensorDifference, WeightsDifference, compare, text
from smalti.store.backends.memory import MemoryBackend

RANDOM = np.random.default_rng(0)


@pytest.fixture
def store() -> Store:
    return open_store("memory:")


def tensors(before: dict[str, Any], after: dict[str, Any], store: Store | None = None) -> dict[str, TensorDifference]:
    store = store or open_store("memory:")
    (found,) = compare(store, store.put(Weights(before)), store.put(Weights(after))).differences
    assert isinstance(found.content, WeightsDifference)
    return {tensor.name: tensor for tensor in found.content.tensors}


def test_tensors_that_differ_are_told_with_their_norms() -> None:
    before = {"a": RANDOM.random((30, 40), np.float32), "b": np.zeros(3), "same": np.ones(5)}
    after = {"a": before["a"] * np.float32(1.5), "b": np.ones(3), "same": np.ones(5)}
    found = tensors(before, after)
    assert found.keys() == {"a", "b"}
    norm = np.linalg.norm(before["a"].astype(float))
    assert found["a"].norm_before == pytest.approx(norm)
    assert found["a"].norm_difference == pytest.approx(norm / 2, rel=1e-6)
    assert found["a"].relative == pytest.approx(0.5, rel=1e-6)
    assert (found["b"].relative, found["b"].max_abs) == (None, 1), "relative to nothing, a norm says nothing"


def test_tensors_that_came_went_or_changed_their_shape_are_named() -> None:
    found = tensors({"gone": np.ones(3), "w": np.ones((2, 3))}, {"came": np.ones(3), "w": np.ones((3, 2))})
    assert {name: tensor.happened for name, tensor in found.items()} == {
        "gone": "removed",
        "came": "added",
        "w": "changed",
    }
    assert (found["w"].shapes, found["w"].norm_difference) == (((2, 3), (3, 2)), None)


def test_other_precision_is_compared_by_value() -> None:
    numbers = RANDOM.random(64, np.float32)
    bits = (numbers.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    found = tensors({"w": numbers}, {"w": BFloat16(bits)})["w"]
    assert found.dtypes == ("float32", "bfloat16")
    assert found.relative is not None
    assert 0 < found.relative < 1 / 128


def test_only_tensors_that_differ_are_read(store: Store) -> None:
    before = {"large": RANDOM.random(100_000), "small": np.zeros(5)}
    refs = store.put(Weights(before)), store.put(Weights({**before, "small": np.ones(5)}))
    backend = store._backend
    assert isinstance(backend, MemoryBackend)
    for ref in refs:
        name = "data.safetensors"
        content = bytearray(backend.files[ref.digest].get(name, b""))
        if content:
            at = content.index(before["large"][500:600].tobytes())
            content[at] ^= 1
            backend.files[ref.digest][name] = bytes(content)
    (found,) = compare(store, *refs).differences
    assert isinstance(found.content, WeightsDifference)
    assert [tensor.name for tensor in found.content.tensors] == ["small"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 1e308])
def test_numbers_that_are_no_norms_are_told(value: float, store: Store) -> None:
    refs = store.put(Weights({"w": np.array([1.0, value])})), store.put(Weights({"w": np.array([1.0, 2.0])}))
    assert "1 of 1 tensor changed" in "\n".join(text(compare(store, *refs)))


def test_no_tensors_at_all(store: Store) -> None:
    said = text(compare(store, store.put(Weights({})), store.put(Weights({"w": np.zeros((0, 3))}))))
    assert "tensors added: w float64 (0, 3)" in said[1]


def test_a_checkpoint_is_compared_by_tensors_configuration_and_state(store: Store) -> None:
    weights = {"w": RANDOM.random((8, 8), np.float32)}
    first = Checkpoint(weights, {"step": np.array(1)}, {"lr": 1e-3}, {"epoch": 1, "history": [{"loss": 1.0}]})
    moved = {"w": weights["w"] + np.float32(0.1)}
    history = [{"loss": 1.0}, {"loss": 0.5}]
    second = Checkpoint(moved, {"step": np.array(2)}, {"lr": 1e-3}, {"epoch": 2, "history": history})
    found = compare(store, store.put(first), store.put(second))
    assert [difference.path for difference in found.differences] == ["", "model", "optimizer"]
    whole = found.differences[0].content
    assert isinstance(whole, DocumentDifference)
    assert [change.path for change in whole.changes] == ["state.epoch", "state.history[1]"]
    said = "\n".join(text(found))
    assert "step: 1 -> 2" in said
    assert "1 of 1 tensor changed" in said
