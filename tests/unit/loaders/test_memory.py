"""Laws of the memory manager: what it hands out and keeps stays within the budget, and MLX's own figures agree."""

from __future__ import annotations

import mlx.core as mx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.errors import NotFound, Refused
from smalti.loaders import MemoryConfig, UnifiedMemoryManager

MEGABYTE = 1024 * 1024


@settings(deadline=None, max_examples=50)
@given(
    steps=st.lists(st.tuples(st.sampled_from("aklrg"), st.sampled_from("abcde"), st.integers(1, 300_000)), max_size=30)
)
def test_the_budget_holds_whatever_is_asked_for(steps: list[tuple[str, str, int]]) -> None:
    held: dict[str, mx.array] = {}
    with UnifiedMemoryManager(MemoryConfig(pool_size_mb=1)) as manager:
        for what, name, count in steps:
            try:
                if what == "a":
                    held[name] = manager.allocate_tensor((count,), mx.float32)
                elif what == "k":
                    manager.cache_tensor(name, mx.ones((count,), mx.uint8))
                elif what == "l":
                    held.pop(name, None)
                elif what == "r":
                    manager.release(name)
                else:
                    assert manager.get_tensor(name).dtype == mx.uint8
            except (Refused, NotFound):
                pass
            stats = manager.stats()
            assert stats["held_bytes"] <= stats["budget_bytes"] == MEGABYTE
            assert stats["held_bytes"] == stats["kept_bytes"] + sum(tensor.nbytes for tensor in held.values())


def test_the_document_s_example_and_what_mlx_measures() -> None:
    before = mx.get_active_memory()
    manager = UnifiedMemoryManager(MemoryConfig(pool_size_mb=64, enable_pooling=True))
    tensor = manager.allocate_tensor(shape=(1024, 1024), dtype=mx.float32)
    manager.cache_tensor("embeddings", tensor)
    assert manager.get_tensor("embeddings") is tensor
    assert "embeddings" in manager
    stats = manager.stats()
    assert (stats["held_bytes"], stats["kept_bytes"]) == (4 * MEGABYTE, 4 * MEGABYTE), "counted once"
    assert stats["mlx_active_bytes"] - before >= 4 * MEGABYTE
    assert stats["mlx_peak_bytes"] >= stats["mlx_active_bytes"]
    del tensor
    manager.release("embeddings")
    assert manager.stats()["held_bytes"] == 0
    assert mx.get_active_memory() - before < MEGABYTE
    manager.close()


def test_what_was_used_longest_ago_goes_first() -> None:
    with UnifiedMemoryManager(MemoryConfig(pool_size_mb=3)) as manager:
        for name in "abc":
            manager.cache_tensor(name, mx.zeros((MEGABYTE,), mx.uint8))
        manager.get_tensor("a")
        manager.cache_tensor("d", mx.zeros((MEGABYTE,), mx.uint8))
        assert [name for name in "abcd" if name in manager] == ["a", "c", "d"]
        assert manager.stats()["evictions"] == 1
        with pytest.raises(NotFound, match=r"no tensor 'b' is kept; those that are: \['a', 'c', 'd'\]"):
            manager.get_tensor("b")


def test_a_tensor_that_has_no_room_is_refused_and_nothing_goes_for_it() -> None:
    with UnifiedMemoryManager(MemoryConfig(pool_size_mb=1)) as manager:
        manager.cache_tensor("small", mx.zeros((1000,), mx.uint8))
        with pytest.raises(Refused, match=r"a tensor of shape \(600, 1000\) and .* takes 2\.3 MiB .*pool_size_mb=1"):
            manager.allocate_tensor((600, 1000), mx.float32)
        with pytest.raises(Refused, match="the tensor 'small' takes 2"):
            manager.cache_tensor("small", mx.zeros((2 * MEGABYTE,), mx.uint8))
        assert manager.get_tensor("small").size == 1000, "the one before is still there"


def test_the_limit_of_mlx_is_set_and_set_back() -> None:
    before = mx.set_cache_limit(123 * MEGABYTE)
    try:
        for pooling, limit in ((True, 7 * MEGABYTE), (False, 0)):
            with UnifiedMemoryManager(MemoryConfig(pool_size_mb=7, enable_pooling=pooling)):
                assert mx.set_cache_limit(limit) == limit
            assert mx.set_cache_limit(123 * MEGABYTE) == 123 * MEGABYTE
    finally:
        mx.set_cache_limit(before)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(Refused, match="pool_size_mb=0"):
        MemoryConfig(pool_size_mb=0)
    if not mx.metal.is_available():
        with pytest.warns(UserWarning, match="use_unified_memory: MLX computes on the CPU here"):
            UnifiedMemoryManager(MemoryConfig(enable_unified_memory=True)).close()
