"""What a solver makes of a scan, and the tree it is stored as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.canonical import Json
from smalti.store.values import Tree


@dataclass(frozen=True, eq=False, slots=True)
class Reconstruction:
    """A complex object and probe that explain a scan.

    Attributes:
        object: (M, K) complex64.
        probe: (P, H, W) complex64, P incoherent modes; orthonormal FFT convention, so that the sum of
            abs(probe)**2 is the mean number of counts in a pattern where the object is 1.
        xcoords, ycoords: (N,) float64, probe centre in pixels of *this* object array (0 is the centre
            of its first pixel), refined positions where the solver refined them.
        origin_x, origin_y: scan pixel coordinates of this object's pixel [0, 0]; scan = local + origin.
        loss: (E,) float64, the solver's loss after each epoch.
        metrics: numbers that say how good it is, e.g. ``r_factor``, ``phase_psnr_dB``, ``phase_ssim``.
        config: the solver's settings, seed and versions included.
    """

    object: NDArray[np.complex64]
    probe: NDArray[np.complex64]
    xcoords: NDArray[np.float64]
    ycoords: NDArray[np.float64]
    origin_x: float
    origin_y: float
    loss: NDArray[np.float64]
    metrics: Mapping[str, float]
    config: Mapping[str, Json]

    def _repr_html_(self) -> str:
        from smalti.notebook import shown

        return shown(self)


class ReconstructionCodec:
    """Reconstruction <-> tree."""

    type_name = "reconstruction"
    python_type = Reconstruction

    def to_tree(self, value: Reconstruction) -> Tree:
        arrays = ("object", "probe", "xcoords", "ycoords", "loss")
        attrs = {
            "origin_x": value.origin_x,
            "origin_y": value.origin_y,
            "metrics": dict(value.metrics),
            "config": dict(value.config),
        }
        return Tree({name: getattr(value, name) for name in arrays}, attrs, self.type_name)

    def from_tree(self, tree: Tree) -> Reconstruction:
        return Reconstruction(**tree.children, **tree.attrs)
