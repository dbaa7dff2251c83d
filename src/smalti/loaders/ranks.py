"""Which part of the samples is this process's: its rank among those that ``mlx.launch`` started."""

from __future__ import annotations

from collections.abc import Mapping

from smalti.errors import Refused

_LAUNCHED = ("MLX_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK")  # set by mlx.launch and mpirun


def rank_and_world_size(rank: int | None, world_size: int | None, environment: Mapping[str, str]) -> tuple[int, int]:
    """Return rank and number of ranks: those given, else MLX's where the process was launched as one of several.

    Raises:
        Refused: only one of the two is given.
    """
    if rank is not None and world_size is not None:
        return rank, world_size
    if rank is not None or world_size is not None:
        raise Refused(f"rank={rank} and world_size={world_size}: give both, or neither to take those of mlx.launch.")
    if not any(name in environment for name in _LAUNCHED):
        return 0, 1
    import mlx.core as mx

    group = mx.distributed.init()
    return group.rank(), group.size()
