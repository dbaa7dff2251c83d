"""Resolution from split halves: the Fourier ring correlation of reconstructions from even and from odd patterns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan
from smalti.errors import Refused
from smalti.ptycho.evaluate.frc import FrcResult, compute_frc
from smalti.ptycho.evaluate.metrics import scanned_area
from smalti.ptycho.evaluate.registration import Area, Complex, register, remove_phase_ramp
from smalti.ptycho.geometry import object_pixel_m

if TYPE_CHECKING:
    from smalti.codecs.lazy_array import LazyArray

SMALLEST_SIDE_PX = 16  # 9 rings, of which the first two are not used


def split_halves(scan: Scan) -> tuple[Scan, Scan]:
    """Return the scans of the even and of the odd patterns in the order of acquisition.

    Neither has an object guess or patches, so that their reconstructions share no initial object.

    Raises:
        Refused: a scan of fewer than two patterns.
    """
    count = len(scan.scan_index)
    if count < 2:
        raise Refused(f"scan {scan.metadata.name} has {count} pattern; two halves take at least 2.")
    order = np.argsort(scan.scan_index, kind="stable")
    even, odd = (np.sort(order[first::2]) for first in (0, 1))
    return _part(scan, even), _part(scan, odd)


def _part(scan: Scan, some: NDArray[np.intp]) -> Scan:
    """Return the scan of the patterns at these indexes, without object guess and patches."""
    stack: Any = scan.diffraction
    chosen: Any = stack[some] if isinstance(stack, np.ndarray) else _SomePatterns(stack, some)
    return replace(
        scan,
        diffraction=chosen,
        xcoords=scan.xcoords[some],
        ycoords=scan.ycoords[some],
        scan_index=scan.scan_index[some],
        object_guess=None,
        patches=None,
    )


class _SomePatterns:
    """(N, H, W) patterns of a LazyArray at some indexes; a slice of them reads only those."""

    def __init__(self, patterns: LazyArray, some: NDArray[np.intp]) -> None:
        self._patterns, self._some = patterns, some
        self.shape = (len(some), *patterns.shape[1:])
        self.dtype = patterns.dtype

    def __len__(self) -> int:
        return len(self._some)

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        return np.asarray(self._patterns[self._some[rows]])


def split_half_frc(scan: Scan, reconstruct: Callable[[Scan], Reconstruction]) -> FrcResult:
    """Return the Fourier ring correlation of the reconstructions of the two halves of a scan.

    A half has fewer photons and less overlap than the scan, so the resolution of the whole is usually better.

    Args:
        reconstruct: is called with each half, for example ``lambda half: solve(half, settings)``.

    Raises:
        Refused: what ``split_halves``, ``reconstruct`` or ``compare_reconstructions`` refuses.
    """
    first, second = (reconstruct(half) for half in split_halves(scan))
    return compare_reconstructions(first, second, object_pixel_m(scan))


def compare_reconstructions(
    first: Reconstruction, second: Reconstruction, pixel_size_m: float | None = None
) -> FrcResult:
    """Return the Fourier ring correlation of two reconstructions in the area that both have scanned.

    Mean phase and phase ramp of the first are removed and the second is registered to it.

    Raises:
        Refused: the common area is less than ``SMALLEST_SIDE_PX`` pixels high or wide.

    Source: M. van Heel, M. Schatz, J. Struct. Biol. 151, 250 (2005), for resolution from independent halves.
    """
    one, other, area = _overlap(first, second)
    shape = tuple(side.stop - side.start for side in area)
    if min(shape) < SMALLEST_SIDE_PX:
        raise Refused(
            f"the two halves have {' x '.join(str(max(0, side)) for side in shape)} scanned pixels in common, but "
            f"rings take at least {SMALLEST_SIDE_PX} a side; give a scan of more positions."
        )
    wanted = remove_phase_ramp(one, area)
    return compute_frc(wanted[area], register(other, wanted, area), pixel_size_m)


def _overlap(first: Reconstruction, second: Reconstruction) -> tuple[Complex, Complex, Area]:
    """Return two objects cropped to the pixels that both have, and the area in these that both have scanned.

    A remaining difference of the origins by a fraction of a pixel is left to registration.
    """
    both = (first, second)
    corners = [(round(made.origin_y), round(made.origin_x)) for made in both]
    canvas = _common(_moved(_whole(made), corner) for made, corner in zip(both, corners, strict=True))
    scanned = _common(
        _moved(scanned_area(made.xcoords, made.ycoords), corner) for made, corner in zip(both, corners, strict=True)
    )
    one, other = (made.object[_moved(canvas, (-top, -left))] for made, (top, left) in zip(both, corners, strict=True))
    return one, other, _moved(scanned, (-canvas[0].start, -canvas[1].start))


def _whole(made: Reconstruction) -> Area:
    return slice(0, made.object.shape[0]), slice(0, made.object.shape[1])


def _moved(area: Area, by: tuple[int, int]) -> Area:
    rows, cols = (slice(side.start + step, side.stop + step) for side, step in zip(area, by, strict=True))
    return rows, cols


def _common(areas: Iterable[Area]) -> Area:
    rows, cols = (
        slice(max(side.start for side in sides), min(side.stop for side in sides)) for sides in zip(*areas, strict=True)
    )
    return rows, cols
