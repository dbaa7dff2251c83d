"""What a scan lacks before there can be a product of it: the very scans of which none can be composed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan, ScanMetadata, Stated
from smalti.errors import Refused
from smalti.products import product_from_reconstruction
from smalti.scans.missing import missing_for_product
from smalti.simulation import simulate_scan

KNOWN = {
    "nothing": {},
    "object pixel": {"object_pixel_size_m": Stated(value=2e-8)},
    "energy alone": {"photon_energy_eV": Stated(value=8000)},
    "far field": {
        "photon_energy_eV": Stated(value=8000),
        "detector_distance_m": Stated(value=2),
        "detector_pixel_size_m": Stated(value=75e-6),
    },
    "near field": {
        "photon_energy_eV": Stated(value=8000),
        "detector_distance_m": Stated(value=2),
        "detector_pixel_size_m": Stated(value=75e-6),
        "far_field": False,
    },
}


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulate_scan("small", positions_per_side=3, window=16)


@pytest.mark.parametrize("known", KNOWN)
def test_it_is_missing_exactly_where_no_product_can_be_composed(scan: Scan, known: str) -> None:
    scan = replace(scan, metadata=ScanMetadata(name="small", **KNOWN[known]))
    found = Reconstruction(
        object=np.ones((64, 64), np.complex64),
        probe=np.ones((1, 16, 16), np.complex64),
        xcoords=scan.xcoords,
        ycoords=scan.ycoords,
        origin_x=0.0,
        origin_y=0.0,
        loss=np.ones(1),
        metrics={},
        config={},
    )
    if missing_for_product(scan) is None:
        assert product_from_reconstruction(scan, found, "small")
    else:
        with pytest.raises(Refused, match="no object pixel size"):
            product_from_reconstruction(scan, found, "small")


def test_it_says_what_to_write_and_where(scan: Scan) -> None:
    scan = replace(scan, metadata=ScanMetadata(name="small", **KNOWN["energy alone"]))
    assert missing_for_product(scan, "small.npz.card.yaml") == (
        "no product until a card says the pixel size: under `physics:`, write object_pixel_size_m, or "
        "detector_distance_m and detector_pixel_size_m in small.npz.card.yaml, e.g. "
        "`object_pixel_size_m: {value: 2.5e-8}`."
    )
