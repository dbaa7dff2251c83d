"""A scan under PtychoPINN's names, and the NPZ files it is written to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.product import Product, to_pixels
from smalti.codecs.scan import Scan
from smalti.errors import Refused
from smalti.products.container import save_layout
from smalti.products.layout import Dataset, Layout


@dataclass(frozen=True, eq=False, slots=True)
class RawData:
    """Patterns, positions, probe and object of one scan.

    Attributes:
        xcoords, ycoords: (N,) float64, probe centre in pixels of ``objectGuess``; 0 is its first pixel's centre.
        probeGuess: (H, W) complex, or (P, H, W) for P incoherent modes.
        objectGuess: (M, K) complex.
        diff3d: (N, H, W) patterns, or None when they were left out.
        scan_index: (N,) int64 or None.
        original_axis_order: how ``diff3d`` lay where it came from: ``NHW``, ``HNW`` or ``HWN``.
        bad_pixels: (H, W) bool, True where the detector tells nothing, or None.
        unit: what ``diff3d`` holds, ``counts`` or ``amplitude``; None where its values must tell.
    """

    xcoords: NDArray[np.float64]
    ycoords: NDArray[np.float64]
    probeGuess: NDArray[np.complexfloating]
    objectGuess: NDArray[np.complexfloating]
    diff3d: NDArray[np.generic] | None = None
    scan_index: NDArray[np.int64] | None = None
    original_axis_order: str = "NHW"
    bad_pixels: NDArray[np.bool_] | None = None
    unit: str | None = None


def rawdata_of_scan(scan: Scan) -> RawData:
    """Return a scan in canonical form under PtychoPINN's names.

    Raises:
        Refused: it has no probe or no object.
    """
    guesses = {"probeGuess": scan.probe_guess, "objectGuess": scan.object_guess}
    missing = [name for name, array in guesses.items() if array is None]
    if scan.probe_guess is None or scan.object_guess is None:
        raise Refused(
            f"scan {scan.metadata.name} has no {' and no '.join(missing)} to go with its positions, and a product is "
            "made of them; reconstruct it, or add them to its file."
        )
    return RawData(
        xcoords=scan.xcoords,
        ycoords=scan.ycoords,
        probeGuess=scan.probe_guess,
        objectGuess=scan.object_guess,
        diff3d=scan.diffraction,
        scan_index=scan.scan_index,
        bad_pixels=scan.bad_pixels,
        unit="amplitude",
    )


def rawdata_of_arrays(arrays: Mapping[str, Any]) -> RawData:
    """Return the arrays of a file that keeps the contract of an export, with its patterns or without."""
    return RawData(
        xcoords=arrays["xcoords"],
        ycoords=arrays["ycoords"],
        probeGuess=arrays["probeGuess"],
        objectGuess=arrays["objectGuess"],
        diff3d=arrays.get("diffraction"),
        scan_index=arrays.get("scan_index"),
        bad_pixels=arrays.get("bad_pixels"),
        unit="amplitude",
    )


def rawdata_of_product(product: Product) -> RawData:
    """Return a product as a scan: positions in pixels of the object.

    Where it carries patterns, the positions are those that lie with them: they are the pixels themselves, and
    PtychoPINN writes an object centre that does not lead back to them.

    Raises:
        Refused: there are several layers or coherent modes, which a scan cannot hold.
    """
    layers, coherent = len(product.object), len(product.probe)
    if layers != 1 or coherent != 1:
        raise Refused(
            f"the product has {layers} object layers and {coherent} coherent probe modes, and a scan holds one of "
            "each; keep it whole, as a product in a store."
        )
    probe, patterns = product.probe[0], product.patterns
    xcoords, ycoords = _pixels(product) if patterns is None else (patterns.xcoords, patterns.ycoords)
    return RawData(
        xcoords=xcoords.astype(np.float64),
        ycoords=ycoords.astype(np.float64),
        probeGuess=probe[0] if len(probe) == 1 else probe,
        objectGuess=product.object[0],
        diff3d=None if patterns is None else patterns.diffraction,
        scan_index=product.probe_position_indexes if patterns is None else patterns.scan_index,
        original_axis_order="NHW" if patterns is None else patterns.original_axis_order,
        bad_pixels=None if patterns is None else patterns.bad_pixels,
        unit=None if patterns is None else patterns.unit,
    )


def _pixels(product: Product) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    metadata, (height, width) = product.metadata, product.object.shape[1:]
    return (
        to_pixels(product.probe_position_x_m, width, metadata.object_pixel_width_m, metadata.object_center_x_m),
        to_pixels(product.probe_position_y_m, height, metadata.object_pixel_height_m, metadata.object_center_y_m),
    )


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
