"""Raw scans to Ptychodus products and back: what a caller states, a card states, and nobody stated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.product import Product, ProductMetadata, RawBundle, to_metres
from smalti.codecs.scan import Scan, ScanMetadata, Stated, object_pixels_m
from smalti.contracts.builtin.export import EXPORT, EXPORT_WITHOUT_PATTERNS, ExportContract
from smalti.contracts.result import ValidationResult
from smalti.contracts.violation import Violation, broken, errors
from smalti.errors import ContractBroken
from smalti.products.compose import computed_note, provenance, unique_indexes, unknown_note
from smalti.products.product_file import read_with_raw, write_product
from smalti.products.rawdata import RawData, rawdata_of_arrays, rawdata_of_product, rawdata_of_scan
from smalti.scans import validate_scan
from smalti.scans.card import Card
from smalti.scans.inference import quantity_of
from smalti.scans.physics import pixel_contradiction
from smalti.scans.shipped import card_for

ASSUMED_OBJECT_PIXEL_M = 5e-8


@dataclass(frozen=True, slots=True)
class ExportMeta:
    """What a caller states about a scan; None, or 0 where 0 is impossible, leaves it to the scan and its card.

    Attributes:
        object_pixel_width_m, object_pixel_height_m: where neither the scan nor its physics say it, None assumes 50 nm,
            and the product's comments say so.
        probe_pixel_width_m, probe_pixel_height_m: None follows the object, as the far field demands.
        object_center_x_m, object_center_y_m: where the object's centre lies in the world, m; None puts the centre
            of its first pixel at 0, so that a position in metres is its pixel times the pixel size.
        far_field: whether the detector is in the far field.
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
    far_field: bool = True

    def physics(self) -> dict[str, float]:
        """Return what is stated of a scan's physics, by the names of its metadata."""
        square = self.object_pixel_width_m if self.object_pixel_width_m == self.object_pixel_height_m else None
        stated = {
            "detector_distance_m": self.detector_distance_m,
            "photon_energy_eV": self.probe_energy_eV,
            "exposure_time_s": self.exposure_time_s,
            "object_pixel_size_m": square,
        }
        return {name: value for name, value in stated.items() if value}


def export_npz(
    input_npz: Path, output_product: Path, meta: ExportMeta | None = None, include_diffraction: bool = True
) -> tuple[Violation, ...]:
    """Convert a file of a scan to a product file and return what a person should know about it (warnings only).

    The file is read as ``smalti.scans.read_scan`` reads it, with the card beside it or the shipped one; what ``meta``
    states replaces what the card states. An object that some probes overhang is kept. Without ``include_diffraction``
    the patterns are not read, and need not be there.

    Raises:
        NotFound, ContractBroken, Unavailable: as ``read_scan``; also where the file has no probe or no object.
        Refused: see ``write_product``.
    """
    meta, card = meta or ExportMeta(), card_for(input_npz)
    result = validate_scan(input_npz, card_stating(card, meta), contract=contract_of_export(include_diffraction))
    return export_result(result, input_npz.name, output_product, meta, card, include_diffraction)


def contract_of_export(include_diffraction: bool) -> ExportContract:
    """Return what a file must hold to be exported with its patterns, or without them."""
    return EXPORT if include_diffraction else EXPORT_WITHOUT_PATTERNS


def card_stating(card: Card | None, meta: ExportMeta) -> Card | None:
    """Return the card with the physics that ``meta`` states, so that a file in metres is read with its pixel size."""
    if card is None:
        return None
    stated = {name: Stated(value=value) for name, value in meta.physics().items()}
    return card.model_copy(update={"physics": card.physics.model_copy(update=stated)})


def export_result(
    result: ValidationResult,
    file_name: str,
    output_product: Path,
    meta: ExportMeta,
    card: Card | None,
    include_diffraction: bool = True,
) -> tuple[Violation, ...]:
    """Write what came of validating a scan as a product; see ``export_npz``.

    Args:
        result: of the file, held to ``contract_of_export(include_diffraction)`` with ``card_stating(card, meta)``.
        file_name: for messages.
        output_product: where the product is written.
        meta: what the caller states.
        card: what the card of the file states.
        include_diffraction: whether the patterns travel with it.
    """
    if not result.accepted:
        found = errors(result.violations)
        raise ContractBroken(result.refusal, found) if result.refusal else broken(file_name, found)
    raw, metadata = rawdata_of_arrays(result.value), ScanMetadata.model_validate(result.value["metadata"])
    stated = {name: getattr(card.physics, name) for name in meta.physics()} if card else {}
    found = _export(raw, metadata, output_product, meta, include_diffraction, metadata.model_copy(update=stated))
    return (*result.violations, *found)


def export_scan(
    scan: Scan, out_path: Path, meta: ExportMeta | None = None, include_raw: bool = True
) -> tuple[Violation, ...]:
    """Write a scan's probe, object and positions as a product, with its amplitudes when ``include_raw``.

    What ``meta`` leaves out, the scan's metadata says.

    Returns:
        Warnings: where ``meta`` and the scan contradict each other, what is assumed, what the product lacks.

    Raises:
        Refused: the scan has no probe or no object; or see ``write_product``.
        Unavailable: see ``write_product``.
    """
    return _export(rawdata_of_scan(scan), scan.metadata, out_path, meta or ExportMeta(), include_raw, scan.metadata)


def _export(
    raw: RawData, metadata: ScanMetadata, path: Path, meta: ExportMeta, include_raw: bool, said: ScanMetadata
) -> tuple[Violation, ...]:
    """Write a scan as a product; what ``said`` states, before ``meta`` replaced it, is held against ``meta``."""
    metadata = metadata.model_copy(update={name: Stated(value=value) for name, value in meta.physics().items()})
    height, width = raw.probeGuess.shape[-2:]  # those of the patterns
    found = export_product_from_rawdata(raw, path, _filled(meta, metadata, (height, width)), include_raw)
    return (*_contradictions(said, meta), *pixel_contradiction(metadata, (height, width)), *found)


def export_product_from_rawdata(
    raw: RawData, out_path: Path, meta: ExportMeta | None = None, include_raw: bool = True
) -> tuple[Violation, ...]:
    """Write a scan's probe, object and positions as a product, with its patterns when ``include_raw``.

    Raises:
        Refused, Unavailable: see ``write_product``.
    """
    meta = meta or ExportMeta()
    bundle = None
    if include_raw and raw.diff3d is not None:
        bundle = RawBundle(
            diffraction=raw.diff3d,
            unit=raw.unit or _unit(raw.diff3d),
            xcoords=raw.xcoords,
            ycoords=raw.ycoords,
            scan_index=unique_indexes(raw.scan_index, len(raw.xcoords)),
            original_axis_order=raw.original_axis_order,
            bad_pixels=raw.bad_pixels,
        )
    found = write_product(out_path, _product(raw, meta), bundle)
    return (*_assumed_pixel(meta), *found)


def _contradictions(said: ScanMetadata, meta: ExportMeta) -> Iterator[Violation]:
    """Yield where the caller and the scan, or its card, state two values of one thing."""
    for name, value in meta.physics().items():
        known = _value(getattr(said, name))
        if known is not None and not np.isclose(known, value, rtol=1e-6, atol=0):
            found = f"{known:.6g} for the scan and {value:.6g} for this product"
            remedy = f"{value:.6g} was used; correct the one that is wrong"
            yield Violation("physics.contradiction", name, found, "one value", remedy, "warning")


def _assumed_pixel(meta: ExportMeta) -> Iterator[Violation]:
    if not (meta.object_pixel_width_m and meta.object_pixel_height_m):
        found = f"nothing, so {ASSUMED_OBJECT_PIXEL_M:g} m is assumed"
        remedy = "state it, or what it follows from in the far field, for this product or in the card of the scan"
        yield Violation("physics.pixel_size", "object_pixel_size_m", found, "a length in m", remedy, "warning")


def _filled(meta: ExportMeta, metadata: ScanMetadata, plane: tuple[int, int]) -> ExportMeta:
    """Return what the caller states, and where that is nothing, what the scan's metadata states or implies."""
    width_m, height_m, note = None, None, ""
    pixels = object_pixels_m(metadata, plane)
    if pixels and not (meta.object_pixel_width_m and meta.object_pixel_height_m):
        (width_m, height_m), note = (pixel.value for pixel in pixels), computed_note(metadata, pixels)
    notes = (meta.comments, *provenance(metadata), *(f"CONVERTED: {how}" for how in metadata.conversions), note)
    return replace(
        meta,
        name=meta.name or metadata.name,
        comments="\n".join(text for text in notes if text),
        detector_distance_m=_value(metadata.detector_distance_m),
        probe_energy_eV=_value(metadata.photon_energy_eV),
        exposure_time_s=_value(metadata.exposure_time_s),
        object_pixel_width_m=meta.object_pixel_width_m or width_m,
        object_pixel_height_m=meta.object_pixel_height_m or height_m,
        far_field=metadata.far_field,
    )


def _value(stated: Stated | None) -> float | None:
    return None if stated is None else stated.value


def _product(raw: RawData, meta: ExportMeta) -> Product:
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
                "far_field": meta.far_field,
            }
        ),
    )


def _assumptions(raw: RawData, meta: ExportMeta) -> Iterator[str]:
    if not (meta.object_pixel_width_m and meta.object_pixel_height_m):
        yield f"ASSUMED: object pixel size {ASSUMED_OBJECT_PIXEL_M:g} m."
    if raw.scan_index is not None and len(np.unique(raw.scan_index)) < len(raw.scan_index):
        yield "ASSUMED: pattern numbers 0, 1, 2, ..., because scan_index repeats."


def _unit(patterns: NDArray[Any]) -> str:
    counted = patterns.dtype.kind in "iu"
    return "counts" if counted else quantity_of(patterns).says or "unknown"


@dataclass(frozen=True, eq=False, slots=True)
class ImportedProduct:
    """All that a product file holds: what was reconstructed, its metadata, and the patterns it carries."""

    product: Product

    @property
    def patterns(self) -> RawBundle | None:
        """What it was reconstructed from, where the file carries it."""
        return self.product.patterns

    def rawdata(self) -> RawData:
        """Return it as a scan; see ``rawdata_of_product``."""
        return rawdata_of_product(self.product)


def import_product(in_path: Path) -> ImportedProduct:
    """Read a product file of any Ptychodus from 0.7 on, or of PtychoPINN, with the patterns it carries.

    Raises:
        NotFound: there is no such file.
        ContractBroken: it is no product, or its parts do not fit.
        Unavailable: the file may not be read.
    """
    return ImportedProduct(read_with_raw(in_path))


def import_product_to_rawdata(in_path: Path) -> RawData:
    """Read a product as a scan; see ``import_product`` and ``ImportedProduct.rawdata``.

    Raises:
        NotFound, Refused, Unavailable: as those do.
    """
    return import_product(in_path).rawdata()
