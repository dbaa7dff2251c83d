"""PtychoPINN scans to Ptychodus products and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.product import Product, ProductMetadata
from smalti.errors import Refused
from smalti.products.compose import unique_indexes, unknown_note
from smalti.products.finding import Finding
from smalti.products.frame import to_metres, to_pixels
from smalti.products.product_file import RawBundle, read_with_raw, write_product
from smalti.products.rawdata import RawData, read_rawdata_npz
from smalti.scans.inference import quantity_of

ASSUMED_OBJECT_PIXEL_M = 5e-8


@dataclass(frozen=True, slots=True)
class ExportMeta:
    """What an NPZ file does not say about its scan; None, or 0 where 0 is impossible, means unknown.

    Attributes:
        object_pixel_width_m, object_pixel_height_m: None assumes 50 nm, and the product's comments say so.
        probe_pixel_width_m, probe_pixel_height_m: None follows the object, as the far field demands.
        object_center_x_m, object_center_y_m: where the object's centre lies in the world, m; None puts the centre
            of its first pixel at 0, so that a position in metres is its pixel times the pixel size.
    """

    name: str = ""
    comments: str = ""
    detector_distance_m: float | None = None
    probe_energy_eV: float | None = None
    exposure_time_s: float | None = None
    probe_photon_count: float | None = None
    mass_attenuation_m2_kg: float | None = None
    tomography_angle_deg: float | None = None
    object_pixel_width_m: float | None = None
    object_pixel_height_m: float | None = None
    probe_pixel_width_m: float | None = None
    probe_pixel_height_m: float | None = None
    object_center_x_m: float | None = None
    object_center_y_m: float | None = None


def export_npz(
    input_npz: Path, output_product: Path, meta: ExportMeta | None = None, include_diffraction: bool = True
) -> tuple[Finding, ...]:
    """Convert an NPZ scan to a product file and return what a person should know about it (warnings only).

    Raises:
        NotFound, Refused, Unavailable: see ``read_rawdata_npz`` and ``write_product``.
    """
    raw = read_rawdata_npz(input_npz, include_diffraction)
    return export_product_from_rawdata(raw, output_product, meta, include_diffraction)


def export_product_from_rawdata(
    raw: RawData, out_path: Path, meta: ExportMeta | None = None, include_raw: bool = True
) -> tuple[Finding, ...]:
    """Write a scan's probe, object and positions as a product, with its patterns when ``include_raw``.

    Raises:
        Refused, Unavailable: see ``write_product``.
    """
    meta = meta or ExportMeta()
    indexes = unique_indexes(raw.scan_index, len(raw.xcoords))
    bundle = None
    if include_raw and raw.diff3d is not None:
        unit = _unit(raw.diff3d)
        order = raw.original_axis_order
        bundle = RawBundle(raw.diff3d, unit, raw.xcoords, raw.ycoords, indexes, order, raw.bad_pixels)
    return write_product(out_path, product_from_rawdata(raw, meta), bundle)


def product_from_rawdata(raw: RawData, meta: ExportMeta) -> Product:
    """Return the product of a scan whose object and probe are known, positions in m around the object's centre."""
    height, width = raw.objectGuess.shape
    pixel_width_m = meta.object_pixel_width_m or ASSUMED_OBJECT_PIXEL_M
    pixel_height_m = meta.object_pixel_height_m or ASSUMED_OBJECT_PIXEL_M
    center_x_m, center_y_m = meta.object_center_x_m, meta.object_center_y_m
    if center_x_m is None:
        center_x_m = (width - 1) / 2 * pixel_width_m
    if center_y_m is None:
        center_y_m = (height - 1) / 2 * pixel_height_m
    known = {
        "detector_object_distance_m": meta.detector_distance_m or None,
        "photon_energy_eV": meta.probe_energy_eV or None,
        "exposure_time_s": meta.exposure_time_s or None,
        "probe_photon_count": meta.probe_photon_count or None,
        "mass_attenuation_m2_per_kg": meta.mass_attenuation_m2_kg,
        "tomography_angle_deg": meta.tomography_angle_deg,
    }
    notes = (meta.comments, *_assumptions(raw, meta), *unknown_note(known))
    probe = raw.probeGuess
    return Product(
        probe_position_x_m=to_metres(raw.xcoords, width, pixel_width_m, center_x_m),
        probe_position_y_m=to_metres(raw.ycoords, height, pixel_height_m, center_y_m),
        probe_position_indexes=unique_indexes(raw.scan_index, len(raw.xcoords)),
        probe=probe.reshape((1,) * (4 - probe.ndim) + probe.shape),
        object=raw.objectGuess[np.newaxis],
        object_layer_spacing_m=np.empty(0),
        loss_epochs=np.empty(0, dtype=np.int64),
        loss_values=np.empty(0),
        opr_weights=None,
        metadata=ProductMetadata.model_validate(
            known
            | {
                "name": meta.name,
                "comments": "\n".join(note for note in notes if note),
                "probe_pixel_width_m": meta.probe_pixel_width_m or pixel_width_m,
                "probe_pixel_height_m": meta.probe_pixel_height_m or pixel_height_m,
                "object_pixel_width_m": pixel_width_m,
                "object_pixel_height_m": pixel_height_m,
                "object_center_x_m": center_x_m,
                "object_center_y_m": center_y_m,
            }
        ),
    )


def _assumptions(raw: RawData, meta: ExportMeta) -> tuple[str, ...]:
    pixel = (
        ""
        if meta.object_pixel_width_m and meta.object_pixel_height_m
        else f"object pixel size {ASSUMED_OBJECT_PIXEL_M:g} m"
    )
    repeats = raw.scan_index is not None and len(np.unique(raw.scan_index)) < len(raw.scan_index)
    order = "pattern numbers 0, 1, 2, ..., because scan_index repeats" if repeats else ""
    return tuple(f"ASSUMED: {what}." for what in (pixel, order) if what)


def _unit(patterns: NDArray[Any]) -> str:
    counted = patterns.dtype.kind in "iu"
    return "counts" if counted else quantity_of(patterns).says or "unknown"


@dataclass(frozen=True, eq=False, slots=True)
class ImportedProduct:
    """All that a product file holds.

    Attributes:
        product: what was reconstructed, with its metadata.
        patterns: what it was reconstructed from, where the file carries it.
    """

    product: Product
    patterns: RawBundle | None

    def rawdata(self) -> RawData:
        """Return it as a scan: positions in pixels of the object.

        Where the file carries patterns, the positions are those that lie with them: they are the pixels themselves,
        and PtychoPINN writes an object centre that does not lead back to them.

        Raises:
            Refused: there are several layers or coherent modes, which a scan cannot hold.
        """
        product, patterns = self.product, self.patterns
        layers, coherent = len(product.object), len(product.probe)
        if layers != 1 or coherent != 1:
            raise Refused(
                f"the product has {layers} object layers and {coherent} coherent probe modes, and a scan holds one of "
                "each; keep it as a product."
            )
        probe = product.probe[0]
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
        )


def import_product(in_path: Path) -> ImportedProduct:
    """Read a product file of any Ptychodus from 0.7 on, or of PtychoPINN, with the patterns it carries.

    Raises:
        NotFound: there is no such file.
        Refused: it is no product, or its parts do not fit.
    """
    return ImportedProduct(*read_with_raw(in_path))


def import_product_to_rawdata(in_path: Path) -> RawData:
    """Read a product as a scan; see ``import_product`` and ``ImportedProduct.rawdata``.

    Raises:
        NotFound, Refused: as those do.
    """
    return import_product(in_path).rawdata()


def _pixels(product: Product) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    metadata, (height, width) = product.metadata, product.object.shape[1:]
    return (
        to_pixels(product.probe_position_x_m, width, metadata.object_pixel_width_m, metadata.object_center_x_m),
        to_pixels(product.probe_position_y_m, height, metadata.object_pixel_height_m, metadata.object_center_y_m),
    )
