"""What a scan must be said to be before it can be reconstructed, and before a product can be written of it."""

from smalti.codecs.scan import Scan, object_pixels_m, what_gives_object_pixels

_BESIDE = "the card beside its file"
_NO_RECONSTRUCTION = "no reconstruction"


def missing_for_reconstruction(scan: Scan, card: str = _BESIDE) -> str | None:
    """Return in a sentence why a scan cannot be reconstructed as it is; None where it can.

    In the near field every length counts; of a single pattern there is nothing to validate with.

    Args:
        card: the file name of the scan's card.
    """
    if len(scan.scan_index) < 2:
        return f"{_NO_RECONSTRUCTION}: it has {len(scan.scan_index)} pattern, and a scan has at least 2."
    names = ("photon_energy_eV", "detector_distance_m", "object_pixel_size_m")
    absent = [name for name in names if getattr(scan.metadata, name) is None]
    if scan.metadata.far_field or not absent:
        return None
    return (
        f"{_NO_RECONSTRUCTION} in the near field until a card says {' and '.join(absent)}: write them under "
        f"`physics:` in {card}."
    )


def missing_for_product(scan: Scan, card: str = _BESIDE) -> str | None:
    """Return in a sentence what a card must say before there can be a product; None where nothing is missing.

    A product has its positions in metres, so it needs the size of an object pixel; a reconstruction does not.

    Args:
        card: the file name of the scan's card.
    """
    if object_pixels_m(scan.metadata, scan.diffraction.shape[-2:]) is not None:
        return None
    return (
        "no product until a card says the pixel size: under `physics:`, write "
        f"{what_gives_object_pixels(scan.metadata)} in {card}, e.g. `object_pixel_size_m: {{value: 2.5e-8}}`."
    )


def is_reconstructed(missing: str | None) -> bool:
    """Tell whether a scan of which this is missing can be reconstructed all the same."""
    return not (missing or "").startswith(_NO_RECONSTRUCTION)
