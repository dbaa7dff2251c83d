"""What the machine computes with: a fast BLAS before mlx loads, and child processes, confined for foreign files."""

from smalti.compute.blas import Blas, prepare_blas
from smalti.compute.child import ChildKilled, run_child
from smalti.compute.limits import ChildLimits, extend_limits

__all__ = ["Blas", "ChildKilled", "ChildLimits", "extend_limits", "prepare_blas", "run_child"]
