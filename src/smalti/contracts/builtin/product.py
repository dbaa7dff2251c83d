"""The contract of a Ptychodus product in memory: positions, probe, object and losses, in metres.

Names and shapes are those of ``ptychodus/api/io.py`` 1.7.0, older names are aliases. A product *file* has more that can
go wrong (attributes under two names, what older readers ignore): see ``smalti.products.validate``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from smalti.contracts.arrays import ArraySpec
from smalti.contracts.contract import Contract
from smalti.contracts.fields import FieldSpec
from smalti.contracts.rules import Monotonic, Rule, Unique
from smalti.contracts.violation import Violation


class CentresInside(Rule):
    """Every probe centre lies on the object; needs positions, object, pixel size and centre of one axis."""

    axis: int

    def sentence(self) -> str:
        positions, canvas, pixel, center = self.needs
        return f"Each of {positions} lies on {canvas}, whose centre is at {center} and whose pixels are {pixel} large."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        positions, canvas, pixel, center = self.needs
        last = values[canvas].shape[self.axis] - 1
        pixels = (values[positions] - values[center]) / values[pixel] + last / 2
        outside = (pixels < 0) | (pixels > last)
        if outside.any():
            found = f"{int(outside.sum())} of {pixels.size} positions off the object, from pixel {pixels.min():.1f} to "
            found, wanted = f"{found}{pixels.max():.1f}", f"0 to {last}"
            remedy = f"correct {center}, {pixel} or the unit of the positions"
            yield self.breach("positions.outside_object", positions, found, wanted, remedy, (int(outside.argmax()),))


class GapsBetweenLayers(Rule):
    """There is one spacing fewer than there are layers; needs object, spacings."""

    def sentence(self) -> str:
        return f"{self.needs[1]} has one entry fewer than {self.needs[0]} has layers."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        canvas, spacings = self.needs
        layers = len(values[canvas]) if values[canvas].ndim == 3 else 1
        if values[spacings].size != layers - 1:
            found, wanted = f"{values[spacings].size} spacings", f"{layers - 1} between {layers} layers"
            yield self.breach("layers.spacing", spacings, found, wanted, "state the distance after each layer but one")


def _length(key: str, meaning: str, *aliases: str) -> FieldSpec:
    return FieldSpec(key=key, meaning=meaning, unit="m", exclusive_minimum=0, aliases=aliases)


def _of_object(name: str) -> tuple[str, ...]:
    return (f"object.{name}", f"object/{name}", f"object@{name}")


PRODUCT = Contract(
    name="product",
    version=1,
    summary="What Ptychodus calls a product: N positions in metres, a probe of C coherent and I incoherent modes, an "
    "object of L layers, and how the loss fell.",
    arrays=(
        ArraySpec(
            key="probe_position_indexes",
            meaning="Number of the pattern taken at each position.",
            shapes=(("N",),),
            dtype="int64",
            unit="1",
        ),
        ArraySpec(
            key="probe_position_x_m", meaning="Probe centre, +x right.", shapes=(("N",),), dtype="float64", unit="m"
        ),
        ArraySpec(
            key="probe_position_y_m", meaning="Probe centre, +y down.", shapes=(("N",),), dtype="float64", unit="m"
        ),
        ArraySpec(
            key="probe",
            meaning="Illumination.",
            shapes=(("C", "I", "H", "W"), ("I", "H", "W"), ("H", "W")),
            dtype="complex64",
            unit="square root of photons",
            nonzero=True,
        ),
        ArraySpec(
            key="object",
            meaning="Transmission of the sample.",
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
        ArraySpec(
            key="loss_values",
            aliases=("costs",),
            meaning="Loss after each epoch.",
            shapes=(("E",),),
            dtype="number",
            unit="1",
            required=False,
            empty=True,
        ),
        ArraySpec(
            key="loss_epochs",
            meaning="Number of each epoch.",
            shapes=(("E",),),
            dtype="number",
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
        ArraySpec(
            key="raw_data/*",
            meaning="The scan it was made from, as PtychoPINN keeps it.",
            shapes=(),
            dtype="number",
            unit="see the scan",
            required=False,
        ),
    ),
    fields=(
        _length("object_pixel_width_m", "Pitch of the object's columns.", *_of_object("pixel_width_m")),
        _length("object_pixel_height_m", "Pitch of the object's rows.", *_of_object("pixel_height_m")),
        FieldSpec(
            key="object_center_x_m",
            meaning="Where the object's centre lies.",
            unit="m",
            aliases=_of_object("center_x_m"),
        ),
        FieldSpec(
            key="object_center_y_m",
            meaning="Where the object's centre lies.",
            unit="m",
            aliases=_of_object("center_y_m"),
        ),
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
        GapsBetweenLayers(needs=("object", "object_layer_spacing_m")),
        Monotonic(needs=("loss_epochs",), severity="warning", remedy="sort the epochs, and their losses with them"),
    ),
)
