"""A product made from a scan and its reconstruction: pixels become metres, assumptions become comments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.product import Product, ProductMetadata, RawBundle, to_metres
from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import (
    Scan,
    ScanMetadata,
    Stated,
    require_object_pixels_m,
)
from smalti.errors import Refused
from smalti.products.layout import NUMBERS


def product_from_reconstruction(scan: Scan, reconstruction: Reconstruction, name: str) -> Product:
    """Return the product that says what was reconstructed, where it lies, and what was assumed on the way.

    The world frame is the scan's pixel frame times the object pixel size, so products of one scan overlay.
    A physical value nobody stated stays None; the comments say so, and list every value that was assumed.

    Raises:
        Refused: the object pixel size is neither stated nor computable, or the reconstruction is of another scan.
    """
    count = len(reconstruction.xcoords)
    if count != len(scan.scan_index):
        raise Refused(
            f"the reconstruction has {count} positions and scan {scan.metadata.name} has {len(scan.scan_index)}; "
            "give the scan that was reconstructed."
        )
    pixels = require_object_pixels_m(scan.metadata, scan.diffraction.shape[-2:])
    pixel_x_m, pixel_y_m = (pixel.value for pixel in pixels)
    height, width = reconstruction.object.shape
    center_x_m = (reconstruction.origin_x + (width - 1) / 2) * pixel_x_m
    center_y_m = (reconstruction.origin_y + (height - 1) / 2) * pixel_y_m
    known = {
        "detector_object_distance_m": _value(scan.metadata.detector_distance_m),
        "photon_energy_eV": _value(scan.metadata.photon_energy_eV),
        "exposure_time_s": _value(scan.metadata.exposure_time_s),
    }
    notes = (*provenance(scan.metadata), computed_note(scan.metadata, pixels), *unknown_note(known))
    return Product(
        probe_position_x_m=to_metres(reconstruction.xcoords, width, pixel_x_m, center_x_m),
        probe_position_y_m=to_metres(reconstruction.ycoords, height, pixel_y_m, center_y_m),
        probe_position_indexes=unique_indexes(scan.scan_index, count),
        probe=reconstruction.probe[np.newaxis],
        object=reconstruction.object[np.newaxis],
        object_layer_spacing_m=np.empty(0),
        loss_epochs=np.arange(len(reconstruction.loss)),
        loss_values=reconstruction.loss,
        opr_weights=None,
        metadata=ProductMetadata.model_validate(
            known
            | {
                "name": name,
                "comments": "\n".join(note for note in notes if note),
                "probe_pixel_width_m": pixel_x_m,
                "probe_pixel_height_m": pixel_y_m,
                "object_pixel_width_m": pixel_x_m,
                "object_pixel_height_m": pixel_y_m,
                "object_center_x_m": center_x_m,
                "object_center_y_m": center_y_m,
                "far_field": scan.metadata.far_field,
            }
        ),
    )


def raw_bundle_of(scan: Scan, reconstruction: Reconstruction) -> RawBundle:
    """Return the scan's patterns as the product's ``/raw_data``, positions in the reconstruction's object pixels."""
    indexes = unique_indexes(scan.scan_index, len(scan.scan_index))
    return RawBundle(
        diffraction=scan.diffraction,
        unit="amplitude",
        xcoords=reconstruction.xcoords,
        ycoords=reconstruction.ycoords,
        scan_index=indexes,
        bad_pixels=scan.bad_pixels,
    )


def computed_note(metadata: ScanMetadata, pixels: tuple[Stated, Stated]) -> str:
    """Return one sentence on how width and height of an object pixel were computed, or nothing if they are stated."""
    if metadata.object_pixel_size_m is not None:
        return ""
    width, height = pixels
    if width.value == height.value:
        return f"Object pixel {width.value:.6g} m computed as {width.note}."
    return f"Object pixel {width.value:.6g} m x {height.value:.6g} m computed as {width.note} and {height.note}."


def unique_indexes(scan_index: NDArray[np.int64] | None, count: int) -> NDArray[np.int64]:
    """Return the pattern numbers as given when each is unique, else 0 .. count - 1.

    Ptychodus averages the positions that share an index, so an index that repeats must not be written.
    """
    if scan_index is not None and len(np.unique(scan_index)) == count:
        return scan_index.astype(np.int64)
    return np.arange(count)


def unknown_note(known: dict[str, float | None]) -> tuple[str, ...]:
    """Return one sentence naming the physical values nobody stated, or nothing."""
    unknown = [names[0] for names in NUMBERS if known.get(names[0]) is None]
    return (f"UNKNOWN, written as 0: {', '.join(unknown)}.",) if unknown else ()


def provenance(metadata: ScanMetadata) -> tuple[str, ...]:
    """Return where a scan comes from and what of it is assumed, in lines for a product's comments."""
    described = {"Source": metadata.source, "Version": metadata.version, "Licence": metadata.licence}
    return (
        metadata.title,
        *(f"{label}: {text}" for label, text in described.items() if text),
        *(f"ASSUMED: {sentence}" for sentence in metadata.assumptions()),
    )


def _value(stated: Stated | None) -> float | None:
    return None if stated is None else stated.value
