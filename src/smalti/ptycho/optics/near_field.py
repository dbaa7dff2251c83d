"""What the near field is computed from: wavelength, propagation distance and pixel size, as a scan states them."""

from __future__ import annotations

from dataclasses import dataclass

from smalti.codecs.scan import Scan
from smalti.errors import Refused
from smalti.optics import wavelength_m


@dataclass(frozen=True, slots=True)
class NearField:
    """Free space between the sample and a detector on the object's own pixel grid; all in m."""

    wavelength_m: float
    distance_m: float
    pixel_size_m: float

    @classmethod
    def of(cls, scan: Scan) -> NearField | None:
        """Return what a near-field scan states, None for the far field.

        Raises:
            Refused: the scan is in the near field and does not state energy, distance and object pixel.
        """
        metadata = scan.metadata
        if metadata.far_field:
            return None
        needed = {
            "photon_energy_eV": metadata.photon_energy_eV,
            "detector_distance_m": metadata.detector_distance_m,
            "object_pixel_size_m": metadata.object_pixel_size_m,
        }
        energy, distance, pixel = needed.values()
        if energy is None or distance is None or pixel is None:
            missing = " and ".join(name for name, stated in needed.items() if stated is None)
            raise Refused(f"scan {metadata.name} is in the near field without {missing}; state it in its card.")
        return cls(wavelength_m(energy.value), distance.value, pixel.value)
