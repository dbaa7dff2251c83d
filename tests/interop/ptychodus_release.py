"""One release of Ptychodus in a process of its own: what it understands of files, and what files it writes.

``python ptychodus_release.py FOLDER`` reads each product in ``FOLDER/ours`` and writes what it holds in plain names
to ``FOLDER/read/<file>.npz``; and builds each product of plain names in ``FOLDER/plain`` and writes it to
``FOLDER/theirs``, as HDF5 and as NPZ. Knows releases 1.0 to 1.7, between which many names changed.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import ptychodus
from ptychodus.api import object as objects
from ptychodus.api import probe as probes
from ptychodus.api import product as products
from ptychodus.api.geometry import PixelGeometry
from ptychodus.plugins.h5_product_file import H5ProductFileIO
from ptychodus.plugins.npz_product_file import NPZProductFileIO

try:
    from ptychodus.api.probe_positions import ProbePosition, ProbePositionSequence
except ImportError:
    from ptychodus.api.scan import PositionSequence as ProbePositionSequence
    from ptychodus.api.scan import ScanPoint as ProbePosition

FORMS = {".h5": H5ProductFileIO(), ".npz": NPZProductFileIO()}
# today's name of a field of the metadata -> what else it was called
OTHER_NAMES = {
    "detector_object_distance_m": "detector_distance_m",
    "photon_energy_eV": "probe_energy_eV",
    "mass_attenuation_m2_per_kg": "mass_attenuation_m2_kg",
}
TODAY = {other: name for name, other in OTHER_NAMES.items()}
GEOMETRY = ("pixel_width_m", "pixel_height_m", "center_x_m", "center_y_m")


def said(place: Any, axis: str, unit: str) -> float:
    """Return a coordinate, whatever this release calls it."""
    names = (f"{axis}_{unit}", f"coordinate_{axis}_{unit}", f"position_{axis}_{unit}")
    return float(next(getattr(place, name) for name in names if hasattr(place, name)))


def plain(product: Any) -> dict[str, Any]:
    """Return what this release makes of a product: arrays and numbers by today's names, and pixels of the object."""
    positions = product.probe_positions if hasattr(product, "probe_positions") else product.positions
    geometry = product.object_.get_geometry()
    to_pixels = getattr(geometry, "map_coordinates_probe_to_object", None) or geometry.map_scan_point_to_object_point
    pixels = [to_pixels(position) for position in positions]
    pixel = product.probes.get_pixel_geometry()
    metadata = {TODAY.get(name, name): value for name, value in vars(product.metadata).items()}
    metadata["polarization"] = getattr(metadata.get("polarization"), "value", None)
    held = {
        **metadata,
        **{f"object_{name}": getattr(geometry, name) for name in GEOMETRY},
        "probe_pixel_width_m": pixel.width_m,
        "probe_pixel_height_m": pixel.height_m,
        "probe_position_indexes": [position.index for position in positions],
        **{f"probe_position_{axis}_m": [said(p, axis, "m") for p in positions] for axis in "xy"},
        **{f"{axis}_px": [said(p, axis, "px") for p in pixels] for axis in "xy"},
        "probe": product.probes.get_array(),
        "object": product.object_.get_array(),
        "object_layer_spacing_m": list(product.object_.layer_spacing_m),
        "opr_weights": product.probes._opr_weights,
        "wavelength_m": next(
            getattr(product.metadata, name)
            for name in ("photon_wavelength_m", "probe_wavelength_m")
            if hasattr(product.metadata, name)
        ),
    }
    counts = [getattr(position, "probe_photon_count", None) for position in positions]
    if None not in counts:
        held["probe_photon_counts"] = counts
    if hasattr(product, "losses"):
        held["loss_epochs"] = [loss.epoch for loss in product.losses]
        held["loss_values"] = [loss.value for loss in product.losses]
    else:
        held["loss_values"] = product.costs
    return {name: value for name, value in held.items() if value is not None}


def built(held: dict[str, Any]) -> Any:
    """Return the product of this release that holds as much of ``held`` as it has a place for."""
    names = [field.name for field in dataclasses.fields(products.ProductMetadata)]
    metadata = {name: held[TODAY.get(name, name)] for name in names if TODAY.get(name, name) in held}
    if "polarization" in metadata:
        from ptychodus.api.diffraction import Polarization

        metadata["polarization"] = Polarization(metadata["polarization"])
    columns = [f"probe_position_{name}" for name in ("indexes", "x_m", "y_m")]
    if "probe_photon_count" in {field.name for field in dataclasses.fields(ProbePosition)}:
        columns.append("probe_photon_counts")
    rows = zip(*(held[name].tolist() for name in columns), strict=True)
    losses = held["loss_values"].tolist()
    if hasattr(products, "LossValue"):
        losses = [products.LossValue(*pair) for pair in zip(held["loss_epochs"].tolist(), losses, strict=True)]
    return products.Product(
        products.ProductMetadata(**metadata),
        ProbePositionSequence([ProbePosition(*row) for row in rows]),
        probes.ProbeSequence(held["probe"], held.get("opr_weights"), pixel_of("probe", held)),
        objects.Object(
            held["object"],
            pixel_of("object", held),
            objects.ObjectCenter(held["object_center_x_m"], held["object_center_y_m"]),
            held["object_layer_spacing_m"].tolist(),
        ),
        losses,
    )


def pixel_of(on: str, held: dict[str, Any]) -> PixelGeometry:
    """Return the size of a pixel of the probe or the object."""
    return PixelGeometry(held[f"{on}_pixel_width_m"], held[f"{on}_pixel_height_m"])


class Complaints(logging.Handler):
    """Keeps what a release warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.sentences.append(record.getMessage())


def main(folder: Path) -> None:
    """Read what is in ``ours``, write what is in ``plain``."""
    print(ptychodus.__file__)
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    for path in sorted((folder / "ours").iterdir()):
        complaints.sentences.clear()
        held = plain(FORMS[path.suffix].read(path))
        np.savez(folder / "read" / f"{path.name}.npz", **held, complaints=np.array(complaints.sentences, str))
    for path in sorted((folder / "plain").iterdir()):
        with np.load(path) as file:
            held = {name: array if array.ndim else array.item() for name, array in file.items()}
        for suffix, form in FORMS.items():
            form.write(folder / "theirs" / f"{path.stem}{suffix}", built(held))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
