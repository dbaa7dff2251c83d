"""Arrays of MLX within a budget of bytes: tensors that are handed out, and tensors kept by name while there is room."""

from __future__ import annotations

import math
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from smalti.errors import NotFound, Refused

if TYPE_CHECKING:
    import mlx.core as mx

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """What a ``UnifiedMemoryManager`` may use.

    Attributes:
        pool_size_mb: the budget, in MiB, of tensors handed out and tensors kept together.
        enable_pooling: let MLX keep the memory of freed arrays for the next ones, up to ``pool_size_mb``; without, it
            gives it back to the system at once. MLX has one such limit for the process.
        enable_unified_memory: MLX decides where arrays are; where there is no unified memory this warns.
    """

    pool_size_mb: float = 512
    enable_pooling: bool = True
    enable_unified_memory: bool = False

    def __post_init__(self) -> None:
        if self.pool_size_mb <= 0:
            raise Refused(f"pool_size_mb={self.pool_size_mb}; give more than 0.")


class UnifiedMemoryManager:
    """Hands out and keeps evaluated MLX arrays, of at most ``pool_size_mb`` together.

    A tensor that was handed out counts for as long as somebody holds it. Of those kept by name, the ones used longest
    ago go when room is needed. To be used by one thread, to which its arrays belong. ``close`` sets MLX's limit on
    freed memory back to what it was.
    """

    def __init__(self, config: MemoryConfig | None = None) -> None:
        import mlx.core as mx

        from smalti.loaders.to_mlx import warn_of_memory

        self.config = config or MemoryConfig()
        self.budget_nbytes = int(self.config.pool_size_mb * _MEGABYTE)
        self._kept: OrderedDict[str, mx.array] = OrderedDict()
        self._handed_out: dict[int, int] = {}  # id -> nbytes, of arrays that somebody still holds
        self._hits = self._misses = self._evictions = 0
        self._limit_before: int | None = mx.set_cache_limit(self.budget_nbytes if self.config.enable_pooling else 0)
        if self.config.enable_unified_memory:
            warn_of_memory(True, False, stacklevel=2)

    def __enter__(self) -> UnifiedMemoryManager:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def allocate_tensor(self, shape: Sequence[int], dtype: mx.Dtype | None = None) -> mx.array:
        """Return an evaluated tensor of zeros, float32 where no dtype is given.

        Raises:
            Refused: it does not fit beside the tensors that are held, also when none is kept.
        """
        import mlx.core as mx

        dtype = dtype or mx.float32
        nbytes = math.prod(shape) * dtype.size
        self._make_room(nbytes, f"a tensor of shape {tuple(shape)} and {dtype}")
        tensor = mx.zeros(tuple(shape), dtype)
        mx.eval(tensor)
        self._handed_out[id(tensor)] = nbytes
        weakref.finalize(tensor, self._handed_out.pop, id(tensor), None).atexit = False
        return tensor

    def cache_tensor(self, name: str, tensor: mx.array) -> None:
        """Keep a tensor, evaluated, under a name; one of the same name is replaced.

        Raises:
            Refused: it alone, or with the tensors that others hold, takes more than the budget.
        """
        import mlx.core as mx

        mx.eval(tensor)
        before = self._kept.pop(name, None)
        is_held = id(tensor) in self._handed_out or any(tensor is kept for kept in self._kept.values())
        try:
            self._make_room(0 if is_held else int(tensor.nbytes), f"the tensor {name!r}")
        except Refused:
            if before is not None:
                self._kept[name] = before
            raise
        self._kept[name] = tensor

    def get_tensor(self, name: str) -> mx.array:
        """Return a tensor that was kept.

        Raises:
            NotFound: it never was, or had to go.
        """
        if name not in self._kept:
            self._misses += 1
            raise NotFound(f"no tensor {name!r} is kept; those that are: {sorted(self._kept)}.")
        self._hits += 1
        self._kept.move_to_end(name)
        return self._kept[name]

    def __contains__(self, name: str) -> bool:
        return name in self._kept

    def release(self, name: str) -> None:
        """Keep a tensor no longer.

        Raises:
            NotFound: it is not kept.
        """
        if self._kept.pop(name, None) is None:
            raise NotFound(f"no tensor {name!r} is kept; those that are: {sorted(self._kept)}.")

    def stats(self) -> dict[str, int]:
        """Return figures, in bytes: of the budget, of tensors kept and handed out, and what MLX itself measures.

        ``mlx_active``, ``mlx_peak`` and ``mlx_cache`` are of the whole process.
        """
        import mlx.core as mx

        return {
            "budget_bytes": self.budget_nbytes,
            "held_bytes": self._held_nbytes(),
            "kept_bytes": sum(int(tensor.nbytes) for tensor in self._kept.values()),
            "kept": len(self._kept),
            "hits": self._hits,
            "misses": self._misses,
            "evictions": self._evictions,
            "mlx_active_bytes": mx.get_active_memory(),
            "mlx_peak_bytes": mx.get_peak_memory(),
            "mlx_cache_bytes": mx.get_cache_memory(),
        }

    def close(self) -> None:
        """Keep nothing, and set MLX's limit back."""
        import mlx.core as mx

        self._kept.clear()
        if self._limit_before is not None:
            mx.set_cache_limit(self._limit_before)
            self._limit_before = None

    def _held_nbytes(self) -> int:
        kept = {id(tensor): int(tensor.nbytes) for tensor in self._kept.values()}
        return sum({**kept, **self._handed_out}.values())

    def _make_room(self, nbytes: int, what: str) -> None:
        """Let kept tensors go, those used longest ago first, until there is room for so many bytes more."""
        while self._held_nbytes() + nbytes > self.budget_nbytes:
            if not self._kept or nbytes > self.budget_nbytes:
                raise Refused(
                    f"{what} takes {nbytes / _MEGABYTE:.1f} MiB beside {self._held_nbytes() / _MEGABYTE:.1f} MiB that "
                    f"are held, more than pool_size_mb={self.config.pool_size_mb:g} has room for; let go of some, or "
                    "give a larger pool_size_mb."
                )
            self._kept.popitem(last=False)
            self._evictions += 1
