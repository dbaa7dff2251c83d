"""A scan under PtychoPINN's names, and its NPZ files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import Refused
from smalti.formats import read_arrays
from smalti.products.files import save_layout
from smalti.products.layout import Dataset, Layout


@dataclass(frozen=True, eq=False, slots=True)
class RawData:
    """Patterns, positions, probe and object of one scan.

    Attributes:
        xcoords, ycoords: (N,) float64, probe centre in pixels of ``objectGuess``; 0 is its first pixel's centre.
        probeGuess: (H, W) complex, or (P, H, W) for P incoherent modes.
        objectGuess: (M, K) complex.
        diff3d: (N, H, W) patterns as recorded, or None when they were left out.
        scan_index: (N,) int64 or None.
        original_axis_order: how ``diff3d`` lay in the file: ``NHW``, ``HNW`` or ``HWN``.
        bad_pixels: (H, W) bool, True where the detector tells nothing, or None.
    """

    xcoords: NDArray[np.float64]
    ycoords: NDArray[np.float64]
    probeGuess: NDArray[np.complexfloating]
    objectGuess: NDArray[np.complexfloating]
    diff3d: NDArray[np.generic] | None = None
    scan_index: NDArray[np.int64] | None = None
    original_axis_order: str = "NHW"
    bad_pixels: NDArray[np.bool_] | None = None


def write_rawdata_npz(path: Path, raw: RawData) -> None:
    """Write a scan under PtychoPINN's keys, whole or not at all; equal scans give equal bytes.

    Raises:
        Refused: the name of the file does not end in ``.npz``.
        Unavailable: the file could not be written.
    """
    if path.suffix != ".npz":
        raise Refused(f"{path} would be no NPZ file by its name; let it end in .npz.")
    arrays = {
        "diffraction": raw.diff3d,
        "xcoords": raw.xcoords,
        "ycoords": raw.ycoords,
        "probeGuess": raw.probeGuess,
        "objectGuess": raw.objectGuess,
        "scan_index": raw.scan_index,
        "bad_pixels": raw.bad_pixels,
    }
    save_layout(path, Layout({}, {key: Dataset(array) for key, array in arrays.items() if array is not None}))


def read_rawdata_npz(path: Path, include_diffraction: bool = True) -> RawData:
    """Read a scan from an NPZ file with PtychoPINN's keys (``diffraction``, or the older ``diff3d``).

    Raises:
        NotFound, ContractBroken, Unavailable: as ``smalti.formats.read_arrays``; a pickle is never read.
        Refused: a key is missing or an array does not fit the others; the message names key and file.
    """
    arrays = read_arrays(path)
    required = ("xcoords", "ycoords", "probeGuess", "objectGuess")
    missing = [key for key in required if key not in arrays]
    if include_diffraction and not {"diffraction", "diff3d"} & arrays.keys():
        missing.append("diffraction (or diff3d)")
    if missing:
        raise Refused(
            f"{path} has no {' and no '.join(missing)}; it has {', '.join(sorted(arrays)) or 'nothing'}. "
            "Nothing is made up: add the missing arrays."
        )
    xcoords, ycoords = (arrays[key].astype(np.float64) for key in ("xcoords", "ycoords"))
    count = len(xcoords) if xcoords.ndim == 1 else 0
    if xcoords.shape != ycoords.shape or not count:
        raise Refused(f"{path} has xcoords {xcoords.shape} and ycoords {ycoords.shape}; wanted (N,) both.")
    probe, obj = arrays["probeGuess"], arrays["objectGuess"]
    if probe.ndim not in (2, 3) or obj.ndim != 2:
        raise Refused(f"{path} has probeGuess {probe.shape}, objectGuess {obj.shape}; wanted (H, W) and (M, K).")
    scan_index = arrays.get("scan_index")
    if scan_index is not None and (scan_index.shape != (count,) or scan_index.dtype.kind not in "iu"):
        raise Refused(f"{path} has scan_index {scan_index.dtype} {scan_index.shape}; wanted ({count},) integers.")
    bad = arrays.get("bad_pixels")
    if bad is not None and (bad.shape != probe.shape[-2:] or not np.isin(bad, (0, 1)).all()):
        wanted = f"{probe.shape[-2:]} of 0 and 1, where 1 is bad"
        raise Refused(f"{path} has bad_pixels {bad.dtype} {bad.shape}; wanted {wanted}.")
    diff3d, order = _patterns(arrays, count, probe.shape[-2:], path) if include_diffraction else (None, "NHW")
    return RawData(xcoords, ycoords, probe, obj, diff3d, scan_index, order, None if bad is None else bad.astype(bool))


def _patterns(
    arrays: dict[str, NDArray[Any]], count: int, probe_shape: tuple[int, ...], path: Path
) -> tuple[NDArray[Any], str]:
    """Return the patterns as (N, H, W) and the axis order they had; two readings are refused, never guessed."""
    stacks = [arrays[key] for key in ("diffraction", "diff3d") if key in arrays]
    if len(stacks) == 2 and not np.array_equal(stacks[0], stacks[1]):
        raise Refused(f"{path} has diffraction and diff3d, and they differ; keep the one that was measured.")
    stack = stacks[0]
    orders = (
        {"NHW": stack, "HNW": np.moveaxis(stack, 1, 0), "HWN": np.moveaxis(stack, -1, 0)} if stack.ndim == 3 else {}
    )
    wanted = (count, *probe_shape)
    fitting = [order for order, moved in orders.items() if moved.shape == wanted]
    if not fitting or (fitting[0] != "NHW" and len(fitting) > 1):
        raise Refused(
            f"{path} has patterns of shape {stack.shape} for {count} positions and a probe of {probe_shape}; "
            f"wanted {wanted}."
        )
    return orders[fitting[0]], fitting[0]
