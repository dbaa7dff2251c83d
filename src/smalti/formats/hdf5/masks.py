"""Bad pixels out of the masks that CXI and NeXus files keep of a detector: bit fields, each bit a defect."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import shown
from smalti.formats.hdf5.dataset import values_of
from smalti.formats.hdf5.survey import Survey

_HAS_SIGNAL = 0x1000  # the one bit of a CXI mask that speaks well of a pixel


def bad_pixels(found: Survey, paths: Iterable[str]) -> NDArray[np.bool_]:
    """Return (H, W), true where any of the masks at ``paths`` is bad.

    Raises:
        ContractBroken: a mask is no bit field of one pattern, or not the same for all of them.
    """
    return np.asarray(np.logical_or.reduce([_bad_in(found, path) for path in paths]))


def _bad_in(found: Survey, path: str) -> NDArray[np.bool_]:
    place = f"dataset {shown(path)}"
    mask, _ = values_of(found.dataset(path), place, found.source)
    while mask.ndim > 2 and len(mask) and (mask == mask[0]).all():
        mask = mask[0]
    if mask.ndim != 2 or mask.dtype.kind not in "iub":
        shape, wanted = f"{mask.dtype} of shape {mask.shape}", "one (H, W) bit field for all patterns"
        remedy = "save the pixels that are bad in any pattern as one mask, or none"
        raise found.source.refuse("array.rank", place, shape, wanted, remedy)
    good = (0, _HAS_SIGNAL) if path.endswith("/mask") else (0,)
    return np.isin(mask, good, invert=True)
