"""What a scan lacks before there can be a product of it: the very scans of which none can be composed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan, ScanMetadata, Stated
from smalti.errors import Refused
from smalti.products import product_from_reconstruction
from smalti.ptycho.optics.near_field import NearField
from smalti.scans.missing import is_reconstructed, missing_for_product, missing_for_reconstruction
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


@pytest.mark.parametrize("far_field", [True, False])
@pytest.mark.parametrize("absent", ["photon_energy_eV", "detector_distance_m", "object_pixel_size_m", None])
def test_a_reconstruction_lacks_exactly_what_its_near_field_lacks(
    scan: Scan, absent: str | None, far_field: bool
) -> None:
    stated = {
        name: Stated(value=1.0)
        for name in ("photon_energy_eV", "detector_distance_m", "object_pixel_size_m")
        if name != absent
    }
    scan = replace(scan, metadata=ScanMetadata(name="small", far_field=far_field, **stated))
    missing = missing_for_reconstruction(scan, "small.npz.card.yaml")
    assert is_reconstructed(missing) is (missing is None)
    if missing is None:
        NearField.of(scan)
    else:
        assert missing == (
            f"no reconstruction in the near field until a card says {absent}: write them under `physics:` in "
            "small.npz.card.yaml."
        )
        with pytest.raises(Refused, match=str(absent)):
            NearField.of(scan)


def test_a_single_pattern_is_kept_and_not_reconstructed(scan: Scan) -> None:
    one = replace(
        scan, diffraction=scan.diffraction[:1], xcoords=scan.xcoords[:1], ycoords=scan.ycoords[:1],
        scan_index=scan.scan_index[:1], patches=None,
    )  # fmt: skip
    assert missing_for_reconstruction(one) == "no reconstruction: it has 1 pattern, and a scan has at least 2."
    assert not is_reconstructed(missing_for_reconstruction(one))
