"""A ptychography scan in canonical form, and the tree it is stored as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from smalti.errors import Refused
from smalti.optics import far_field_pixel_m
from smalti.store.values import Tree

if TYPE_CHECKING:
    from smalti.store import Store

_LARGE = ("diffraction", "Y")


class Stated(BaseModel):
    """A physical value and whether anybody measured it: ``assumed`` travels with it into every product."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    assumed: bool = False
    note: str = ""


class ScanMetadata(BaseModel):
    """What is known about a scan beside its arrays; ``None`` means unknown, never zero.

    Attributes:
        photon_energy_eV: photon energy in eV.
        detector_distance_m: sample to detector, m.
        detector_pixel_size_m: pitch of a square detector pixel after any binning, m.
        detector_pixel_width_m, detector_pixel_height_m: instead of it, where the pitch along a row and along a column
            differ, m.
        object_pixel_size_m: pitch of a (square) object pixel in the reconstruction plane, m;
            far field: wavelength * distance / (W * detector pixel).
        exposure_time_s: exposure per pattern, s.
        far_field: the detector is in the far field. If not, each pattern is an image of the exit wave after
            ``detector_distance_m``, on a grid of object pixels.
        object_role: what ``object_guess`` is: a starting point, or the truth of a simulation.
        conversions: what was done to the raw arrays to reach this form, in order, in words.
        contract: the contract and version this scan passed, e.g. ``scan/1``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str = ""
    source: str = ""
    version: str = ""
    licence: str = ""
    photon_energy_eV: Stated | None = None
    detector_distance_m: Stated | None = None
    detector_pixel_size_m: Stated | None = None
    detector_pixel_width_m: Stated | None = None
    detector_pixel_height_m: Stated | None = None
    object_pixel_size_m: Stated | None = None
    exposure_time_s: Stated | None = None
    far_field: bool = True
    object_role: Literal["guess", "truth"] | None = None
    conversions: tuple[str, ...] = ()
    contract: str = ""

    def assumptions(self) -> tuple[str, ...]:
        """Return one sentence for each physical value that is assumed, not measured."""
        stated = ((name, getattr(self, name)) for name in type(self).model_fields)
        return tuple(
            f"{name} = {s.value:g} is assumed{': ' + s.note if s.note else ''}"
            for name, s in stated
            if isinstance(s, Stated) and s.assumed
        )


def object_pixel_m(metadata: ScanMetadata, width_px: int) -> Stated | None:
    """Return the pitch of a square object pixel in m, as stated or as the far field gives it; else None.

    Args:
        width_px: columns of a pattern, which is square.
    """
    pitches = object_pixels_m(metadata, (width_px, width_px))
    return pitches[0] if pitches and pitches[0].value == pitches[1].value else None


def object_pixels_m(metadata: ScanMetadata, plane: tuple[int, int] | None) -> tuple[Stated, Stated] | None:
    """Return width and height of an object pixel in m, as stated or as the far field gives them; else None.

    Of the near field nothing but a stated size is known: how far the beam magnifies, the detector does not tell.

    Args:
        plane: (H, W) of a pattern; None where there is none, so that only a stated size is known.
    """
    if metadata.object_pixel_size_m is not None:
        return metadata.object_pixel_size_m, metadata.object_pixel_size_m
    energy, distance = metadata.photon_energy_eV, metadata.detector_distance_m
    width = metadata.detector_pixel_width_m or metadata.detector_pixel_size_m
    height = metadata.detector_pixel_height_m or metadata.detector_pixel_size_m
    if not metadata.far_field or plane is None or energy is None or distance is None:
        return None
    if width is None or height is None:
        return None

    def pitch(detector: Stated, count: int, letter: str) -> Stated:
        return Stated(
            value=far_field_pixel_m(energy.value, distance.value, detector.value, count),
            assumed=energy.assumed or distance.assumed or detector.assumed,
            note=f"wavelength * distance / ({count} * detector pixel{letter})",
        )

    rows, columns = plane
    letters = ("", "") if metadata.detector_pixel_width_m is None else (" width", " height")
    return pitch(width, columns, letters[0]), pitch(height, rows, letters[1])


def require_object_pixels_m(metadata: ScanMetadata, plane: tuple[int, int]) -> tuple[Stated, Stated]:
    """Return width and height of an object pixel in m, see ``object_pixels_m``.

    Raises:
        Refused: they are neither stated nor computable; the message names what the scan's card must state.
    """
    pixels = object_pixels_m(metadata, plane)
    if pixels is None:
        raise Refused(
            f"scan {metadata.name} has no object pixel size, so its positions cannot be given in metres; state "
            f"{what_gives_object_pixels(metadata)} in its card."
        )
    return pixels


def what_gives_object_pixels(metadata: ScanMetadata) -> str:
    """Return the fields one may state to make the object pixel size known, in words.

    >>> what_gives_object_pixels(ScanMetadata(name="a", photon_energy_eV=Stated(value=8000)))
    'object_pixel_size_m, or detector_distance_m and detector_pixel_size_m'
    """
    if not metadata.far_field:
        return "object_pixel_size_m"
    sides = metadata.detector_pixel_width_m, metadata.detector_pixel_height_m
    known = {
        "photon_energy_eV": metadata.photon_energy_eV,
        "detector_distance_m": metadata.detector_distance_m,
        "detector_pixel_size_m": metadata.detector_pixel_size_m or (all(sides) or None),
    }
    *others, last = [name for name, stated in known.items() if stated is None] or [""]
    together = f"{', '.join(others)} and {last}" if others else last
    return f"object_pixel_size_m, or {together}" if together else "object_pixel_size_m"


@dataclass(frozen=True, eq=False, slots=True)
class Scan:
    """One scan: N diffraction patterns, where each was taken, and what illuminated them.

    Attributes:
        diffraction: (N, H, W) float32 amplitude (square root of counts), DC at [H//2, W//2].
        xcoords, ycoords: (N,) float64, centre of the probe array in object pixels; +x is increasing
            column, +y increasing row. The centre of an n-pixel axis is (n - 1) / 2.
        probe_guess: (P, H, W) complex64, P incoherent modes, or None when unknown. Its scale is arbitrary.
        object_guess: (M, K) complex64 or None; ``metadata.object_role`` says what it is.
        scan_index: (N,) int64, the number of each pattern as acquired.
        metadata: everything else.
        bad_pixels: (H, W) bool, laid out as a pattern: True where the detector tells nothing; None when all are good.
        patches: (N, H, W) complex64, the object under each window, to learn from with a teacher; None when unknown.
    """

    diffraction: NDArray[np.float32]
    xcoords: NDArray[np.float64]
    ycoords: NDArray[np.float64]
    probe_guess: NDArray[np.complex64] | None
    object_guess: NDArray[np.complex64] | None
    scan_index: NDArray[np.int64]
    metadata: ScanMetadata
    bad_pixels: NDArray[np.bool_] | None = None
    patches: NDArray[np.complex64] | None = None

    def _repr_html_(self) -> str:
        from smalti.notebook import shown

        return shown(self)


class ScanCodec:
    """Scan <-> tree; the children keep the names of the raw contract."""

    type_name = "scan"
    python_type = Scan

    def to_tree(self, scan: Scan) -> Tree:
        children = {
            "diffraction": scan.diffraction,
            "xcoords": scan.xcoords,
            "ycoords": scan.ycoords,
            "probeGuess": scan.probe_guess,
            "objectGuess": scan.object_guess,
            "scan_index": scan.scan_index,
            "bad_pixels": scan.bad_pixels,
            "Y": scan.patches,
        }
        present = {name: value for name, value in children.items() if value is not None}
        return Tree(present, scan.metadata.model_dump(mode="json", exclude_none=True), self.type_name)

    def from_tree(self, tree: Tree) -> Scan:
        child = tree.children
        return Scan(
            diffraction=child["diffraction"],
            xcoords=child["xcoords"],
            ycoords=child["ycoords"],
            probe_guess=child.get("probeGuess"),
            object_guess=child.get("objectGuess"),
            scan_index=child["scan_index"],
            metadata=ScanMetadata.model_validate(tree.attrs),
            bad_pixels=child.get("bad_pixels"),
            patches=child.get("Y"),
        )


def open_scan(store: Store, reference: str) -> Scan:
    """Return a stored scan whose patterns and patches are read only where they are indexed.

    Raises:
        NotFound: nothing in the store answers to the reference.
    """
    tree = store.open(reference)
    small = {name: np.asarray(child) for name, child in tree.children.items() if name not in _LARGE}
    large = {name: child for name, child in tree.children.items() if name in _LARGE}
    return ScanCodec().from_tree(Tree({**small, **large}, tree.attrs))


def differ_for_reconstruction(store: Store, before: str, now: str) -> bool:
    """Tell whether two stored scans differ in what is reconstructed, and not only in what a product says of them.

    Arrays decide it, and how the beam travels: in the far field no length does, in the near field all of them.

    Raises:
        NotFound: one of them is not in the store.
    """
    if store.record(before).children != store.record(now).children:
        return True
    first, second = (ScanMetadata.model_validate(store.open(digest).attrs) for digest in (before, now))
    if first.far_field and second.far_field:
        return False
    lengths = set(ScanMetadata.model_fields) - {"title", "source", "version", "licence", "conversions", "contract"}
    return first.model_dump(include=lengths) != second.model_dump(include=lengths)
