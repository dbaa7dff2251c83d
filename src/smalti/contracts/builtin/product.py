"""The contract of a Ptychodus product: positions, probe, object and losses, in metres, and the patterns beside them.

Names and shapes are those of ``ptychodus/api/io.py`` 1.7.0; older names are aliases. ``smalti.products.validate`` holds
a file to it, and adds what only a file can have wrong: two names of one value that differ, names a release ignores.
"""

from __future__ import annotations

from smalti.contracts.arrays import ArraySpec
from smalti.contracts.builtin.product_rules import (
    CentresInside,
    GapsBetweenLayers,
    HasLosses,
    MaybeNotFinite,
    Plausible,
    ProbesInside,
    RawPositions,
    SamePixel,
    Spread,
)
from smalti.contracts.contract import Contract
from smalti.contracts.fields import FieldSpec
from smalti.contracts.rules import Monotonic, Unique


class ProductContract(Contract):
    """A contract on products: of a file, the attributes count too, under the names of every release.

    Attributes:
        every_reader: whether a file breaks it too that a release of Ptychodus would not open, or read otherwise.
    """

    every_reader: bool = True


def _length(on: str, side: str, *, required: bool, bounded: bool) -> FieldSpec:
    key, along = f"{on}_pixel_{side}_m", "columns" if side == "width" else "rows"
    return FieldSpec(
        key=key,
        meaning=f"Pitch of the {on}'s {along}.",
        unit="m",
        exclusive_minimum=0 if bounded else None,
        aliases=_of(on, f"pixel_{side}_m"),
        required=required,
    )


def _center(letter: str) -> FieldSpec:
    key, aliases = f"object_center_{letter}_m", _of("object", f"center_{letter}_m")
    return FieldSpec(key=key, meaning="Where the object's centre lies.", unit="m", aliases=aliases)


def _of(on: str, name: str) -> tuple[str, ...]:
    return (f"{on}.{name}", f"{on}/{name}", f"{on}@{name}")


def _geometry(*, bounded: bool) -> tuple[FieldSpec, ...]:
    """Return where the pixels lie; lengths are above 0 where they are bounded."""
    pixels = (
        _length(on, side, required=on == "object", bounded=bounded)
        for on in ("object", "probe")
        for side in ("width", "height")
    )
    return (*pixels, _center("x"), _center("y"))


_ARRAYS = (
    ArraySpec(
        key="probe_position_indexes",
        meaning="Number of the pattern taken at each position.",
        shapes=(("N",),),
        dtype="int64",
        unit="1",
    ),
    ArraySpec(key="probe_position_x_m", meaning="Probe centre, +x right.", shapes=(("N",),), dtype="float64", unit="m"),
    ArraySpec(key="probe_position_y_m", meaning="Probe centre, +y down.", shapes=(("N",),), dtype="float64", unit="m"),
    ArraySpec(
        key="probe",
        meaning="Illumination, C coherent (OPR) and I incoherent modes.",
        shapes=(("C", "I", "H", "W"), ("I", "H", "W"), ("H", "W")),
        dtype="complex64",
        unit="square root of photons",
        nonzero=True,
    ),
    ArraySpec(
        key="object",
        meaning="Transmission of the sample, L layers.",
        shapes=(("L", "M", "K"), ("M", "K")),
        dtype="complex64",
        unit="1",
    ),
    ArraySpec(
        key="object_layer_spacing_m",
        meaning="Distance from each layer to the next.",
        shapes=(("G",),),
        dtype="number",
        unit="m",
        required=False,
        empty=True,
        minimum=0,
    ),
    MaybeNotFinite(
        key="loss_values",
        aliases=("costs",),
        meaning="Loss after each epoch.",
        shapes=(("E",),),
        dtype="number",
        unit="1",
        required=False,
        empty=True,
        remedy="nothing needs doing where the run did diverge",
    ),
    ArraySpec(
        key="loss_epochs",
        meaning="Number of each epoch.",
        shapes=(("E",),),
        dtype="int64",
        unit="1",
        required=False,
        empty=True,
        minimum=0,
    ),
    ArraySpec(
        key="opr_weights",
        meaning="Weight of each coherent mode at each position.",
        shapes=(("N", "C"),),
        dtype="number",
        unit="1",
        required=False,
    ),
    ArraySpec(
        key="probe_photon_counts",
        meaning="Photons at each position.",
        shapes=(("N",),),
        dtype="number",
        unit="1",
        required=False,
        minimum=0,
    ),
    MaybeNotFinite(
        key="raw_data/diffraction",
        meaning="The patterns it was made from, as PtychoPINN keeps them beside the product.",
        shapes=(("N", "Y", "X"),),
        dtype="number",
        unit="counts or amplitude",
        required=False,
        remedy="name the pixels that measure nothing in raw_data/bad_pixels",
    ),
    ArraySpec(
        key="raw_data/xcoords",
        meaning="Column of the probe's centre.",
        shapes=(("N",),),
        dtype="float64",
        unit="object pixels",
        required=False,
    ),
    ArraySpec(
        key="raw_data/ycoords",
        meaning="Row of the probe's centre.",
        shapes=(("N",),),
        dtype="float64",
        unit="object pixels",
        required=False,
    ),
    ArraySpec(
        key="raw_data/scan_index",
        meaning="Number of each pattern.",
        shapes=(("N",),),
        dtype="int64",
        unit="1",
        required=False,
    ),
    ArraySpec(
        key="raw_data/bad_pixels",
        meaning="True where the detector tells nothing.",
        shapes=(("Y", "X"),),
        dtype="bool",
        unit="1",
        required=False,
    ),
)

PRODUCT = ProductContract(
    name="product",
    version=2,
    summary="What Ptychodus calls a product: N positions in metres, a probe of C coherent and I incoherent modes, an "
    "object of L layers, and how the loss fell.",
    arrays=_ARRAYS,
    fields=(
        *_geometry(bounded=True),
        FieldSpec(
            key="photon_energy_eV",
            aliases=("probe_energy_eV",),
            meaning="Photon energy; the wavelength follows from it.",
            unit="eV",
            exclusive_minimum=0,
            severity="warning",
        ),
        FieldSpec(
            key="detector_object_distance_m",
            meaning="Sample to detector.",
            unit="m",
            exclusive_minimum=0,
            severity="warning",
        ),
        FieldSpec(
            key="far_field", meaning="Whether the detector is in the far field.", kind="flag", unit="1", required=False
        ),
        FieldSpec(
            key="polarization",
            meaning="Polarization of the light.",
            kind="text",
            choices=("left_circular", "right_circular"),
            required=False,
            severity="warning",
        ),
    ),
    rules=(
        Unique(
            needs=("probe_position_indexes",),
            remedy="give each position its own number: Ptychodus averages positions of one number",
        ),
        CentresInside(
            needs=("probe_position_x_m", "object", "object_pixel_width_m", "object_center_x_m"),
            axis=-1,
        ),
        CentresInside(
            needs=("probe_position_y_m", "object", "object_pixel_height_m", "object_center_y_m"),
            axis=-2,
        ),
        ProbesInside(
            needs=("probe_position_x_m", "object", "object_pixel_width_m", "object_center_x_m", "probe"),
            axis=-1,
            severity="warning",
        ),
        ProbesInside(
            needs=("probe_position_y_m", "object", "object_pixel_height_m", "object_center_y_m", "probe"),
            axis=-2,
            severity="warning",
        ),
        Spread(
            needs=("probe_position_x_m", "probe_position_y_m", "object_pixel_width_m", "object_pixel_height_m"),
            severity="warning",
        ),
        SamePixel(needs=("object_pixel_width_m", "probe_pixel_width_m", "far_field"), severity="warning"),
        SamePixel(needs=("object_pixel_height_m", "probe_pixel_height_m", "far_field"), severity="warning"),
        # Soft UV to hard X-rays and electrons; a microscope to a long beamline; a fraction of an angstrom to a coarse
        # detector: beyond these a value is in another unit than its name says.
        Plausible(needs=("photon_energy_eV",), minimum=10, maximum=1e6, unit="eV", severity="warning"),
        Plausible(needs=("detector_object_distance_m",), minimum=1e-6, maximum=1e3, unit="m", severity="warning"),
        *(
            Plausible(needs=(f"{on}_pixel_{side}_m",), minimum=1e-12, maximum=1e-3, unit="m", severity="warning")
            for on in ("object", "probe")
            for side in ("width", "height")
        ),
        GapsBetweenLayers(needs=("object", "object_layer_spacing_m")),
        HasLosses(needs=("loss_values",), severity="warning"),
        Monotonic(needs=("loss_epochs",), severity="warning", remedy="sort the epochs, and their losses with them"),
        RawPositions(
            needs=(
                "raw_data/xcoords",
                "probe_position_x_m",
                "object",
                "object_pixel_width_m",
                "object_center_x_m",
            ),
            axis=-1,
        ),
        RawPositions(
            needs=(
                "raw_data/ycoords",
                "probe_position_y_m",
                "object",
                "object_pixel_height_m",
                "object_center_y_m",
            ),
            axis=-2,
        ),
    ),
)

# What Ptychodus averages or shifts, and what nobody stated, is read all the same; only `PRODUCT` calls it wrong.
READABLE_PRODUCT = ProductContract(
    name="readable-product",
    version=1,
    summary="What a product must have so that it can be read at all: arrays of the right kind that belong together, "
    "finite, and where the object's pixels lie.",
    arrays=tuple(spec.model_copy(update={"nonzero": False, "minimum": None}) for spec in _ARRAYS),
    fields=_geometry(bounded=False),
    rules=(GapsBetweenLayers(needs=("object", "object_layer_spacing_m")),),
    every_reader=False,
)
