"""How far a reconstruction can be trusted: two of them, from the even and from the odd patterns, compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan, open_scan
from smalti.errors import Refused
from smalti.ptycho.evaluate.frc import FrcResult, compare_rings
from smalti.ptycho.evaluate.metrics import known_pixel_m, scanned_area
from smalti.ptycho.evaluate.registration import Area, Complex, align, without_ramp

if TYPE_CHECKING:
    from smalti.codecs.lazy_array import LazyArray
    from smalti.ptycho.solve.settings import SolverSettings

Report = Callable[[dict[str, Any]], None]

SMALLEST_SIDE_PX = 16  # fewer pixels make too few rings to speak of


def halves(scan: Scan) -> tuple[Scan, Scan]:
    """Return the scan of every second pattern in the order of acquisition, and that of the others.

    Neither has an object, so that two solvers cannot agree because they began from the same one.

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
    """Return the scan of some patterns, in the order they are stored in."""
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
    """Some (N, H, W) patterns of a LazyArray, themselves read a slice at a time."""

    def __init__(self, patterns: LazyArray, some: NDArray[np.intp]) -> None:
        self._patterns, self._some = patterns, some
        self.shape = (len(some), *patterns.shape[1:])
        self.dtype = patterns.dtype

    def __len__(self) -> int:
        return len(self._some)

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        return np.asarray(self._patterns[self._some[rows]])


def frc_of_halves(scan: Scan, settings: SolverSettings, report: Report | None = None) -> FrcResult:
    """Return how well the reconstructions of the two halves of a scan agree.

    A half overlaps less than the whole, so that the whole is at least as good as this says.

    Args:
        report: is called after each epoch with what the solver reports, and ``half``: 1 or 2.

    Raises:
        Refused: what ``halves``, ``solve`` or ``correlate`` refuses.
    """
    from smalti.ptycho.solve.solver import solve

    def told(half: int) -> Report | None:
        return report and (lambda progress: report({"half": half, **progress}))

    first, second = (solve(part, settings, report=told(half)) for half, part in enumerate(halves(scan), 1))
    return correlate(first, second, known_pixel_m(scan))


def correlate(first: Reconstruction, second: Reconstruction, pixel_size_m: float | None = None) -> FrcResult:
    """Return how well two reconstructions agree where both have been scanned.

    The first loses its phase ramp and mean phase, and the second is brought into its gauge: ramp, complex scale, and
    a shift to better than 0.02 px. Then their rings are compared.

    Raises:
        Refused: the area that both scanned is too small to compare.

    Source: M. van Heel, M. Schatz, J. Struct. Biol. 151, 250 (2005), for resolution from independent halves.
    """
    one, other, area = _overlaid(first, second)
    shape = tuple(side.stop - side.start for side in area)
    if min(shape) < SMALLEST_SIDE_PX:
        raise Refused(
            f"the two halves have {' x '.join(str(max(0, side)) for side in shape)} scanned pixels in common, but "
            f"rings take at least {SMALLEST_SIDE_PX} a side; give a scan of more positions."
        )
    wanted = without_ramp(one, area)
    return compare_rings(wanted[area], align(other, wanted, area), pixel_size_m)


def _overlaid(first: Reconstruction, second: Reconstruction) -> tuple[Complex, Complex, Area]:
    """Return two objects cropped to the pixels that both have, and the area of these that both scanned.

    Origins may differ by a fraction of a pixel, too; that is left to registration.
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


def halves_stored(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Compare the halves of a stored scan and store the curves; a function for :func:`smalti.compute.run_child`.

    Args:
        request: ``store`` (path), ``scan`` (digest) and ``settings`` (fields of SolverSettings).

    Returns:
        ``{"digest": digest, "new_bytes": bytes added, "figures": FrcResult.figures()}``; ``store.get(digest)`` is for
        :meth:`FrcResult.from_stored`.

    Raises:
        NotFound: nothing in the store answers to the digest.
        Refused: an unknown setting, or what ``frc_of_halves`` refuses.
    """
    from smalti import open_store
    from smalti.ptycho.solve.settings import SolverSettings

    store = open_store(request["store"])
    settings = SolverSettings.from_request(request["settings"])
    found = frc_of_halves(open_scan(store, request["scan"]), settings, report)
    ref = store.put(found.to_tree())
    return {"digest": ref.digest, "new_bytes": ref.new_bytes, "figures": found.figures()}
