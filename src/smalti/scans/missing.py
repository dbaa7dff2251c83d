"""What a scan must be said to be before a product can be written of it."""

from smalti.codecs.scan import Scan, object_pixels_m, what_gives_object_pixels


def missing_for_product(scan: Scan, card: str = "the card beside its file") -> str | None:
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
