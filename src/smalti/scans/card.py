"""The card beside a file: where the data comes from, how to read what it does not say, and its physics."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from smalti.codecs.scan import Stated
from smalti.contracts.violation import Violation, broken, shown
from smalti.formats.regular_file import open_regular

SUFFIX = ".card.yaml"
LARGEST_NBYTES = 64 * 1024


PositionUnit = Literal["px", "m", "mm", "um", "nm"]
MaskConvention = Literal["true_is_bad", "true_is_good", "bit_field"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DiffractionReading(_Part):
    """How to read the patterns.

    Attributes:
        key: name of the array.
        quantity: what a value is: detector counts (intensity), or their square root.
        dc: where the undiffracted beam is: at the centre, or at pixel [0, 0] and around the corners.
        stack_axis: which axis of three counts the patterns.
        codes: what the same pixels of every pattern hold where it may be a code of the detector (the largest number of
            its type, -1, NaN): nothing measured, so that they are bad pixels, or signal.
    """

    key: str | None = None
    quantity: Literal["amplitude", "counts"] | None = None
    dc: Literal["centre", "corner"] | None = None
    stack_axis: Literal["first", "middle", "last"] | None = None
    codes: Literal["bad", "signal"] | None = None


class PositionsReading(_Part):
    """How to read the positions: either ``xcoords`` and ``ycoords``, or one table ``key`` with its ``order``.

    Attributes:
        xcoords, ycoords: names of the arrays of columns and rows.
        key: name of one (N, 2) or (N, 3) array that holds both.
        order: what each of its columns is; of three, ``z`` is left out.
        unit: of the numbers: object pixels, or a length.
    """

    xcoords: str | None = None
    ycoords: str | None = None
    key: str | None = None
    order: tuple[Literal["x", "y", "z"], ...] | None = None
    unit: PositionUnit | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.key is None) != (self.order is None):
            raise ValueError("key and order together, e.g. key: scan, order: [y, x]")
        if self.order and sorted(self.order) not in (["x", "y"], ["x", "y", "z"]):
            raise ValueError("order: [x, y] or [y, x], or three columns with z in its place")
        if (self.xcoords is None) != (self.ycoords is None):
            raise ValueError("xcoords and ycoords together")
        if self.key is not None and self.xcoords is not None:
            raise ValueError("either xcoords and ycoords, or key and order")
        return self


class MaskReading(_Part):
    """Which array marks the pixels of the detector, and what its values say.

    Attributes:
        key: name of the (H, W) array.
        convention: whether what is not 0 marks a bad pixel (as in ``bad_pixels``) or a good one (as in ptypy and
            PtyLab), or each bit says something of the pixel (as in CXI and NeXus, where 0 is good).
    """

    key: str | None = None
    convention: MaskConvention | None = None


class ProbeReading(_Part):
    """Which array is the probe, and which of its axes counts the modes."""

    key: str | None = None
    mode_axis: Literal["first", "last"] | None = None


class ObjectReading(_Part):
    """Which array is the object, and whether it is a starting point or the truth of a simulation."""

    key: str = "objectGuess"
    role: Literal["guess", "truth"] = "guess"


class Reading(_Part):
    """How to read what the file does not say; what is left out, the contract's keys and the values decide."""

    diffraction: DiffractionReading = DiffractionReading()
    positions: PositionsReading = PositionsReading()
    probe: ProbeReading | None = None
    object: ObjectReading | None = None
    mask: MaskReading = MaskReading()

    def names(self) -> dict[str, str]:
        """Return contract key -> name in the file, for each array that the card names."""
        positions = self.positions
        named = {
            "diffraction": self.diffraction.key,
            "xcoords": positions.key or positions.xcoords,
            "ycoords": positions.key or positions.ycoords,
            "probeGuess": self.probe.key if self.probe else None,
            "objectGuess": self.object.key if self.object else None,
            "bad_pixels": self.mask.key,
        }
        return {key: name for key, name in named.items() if name is not None}


class Physics(_Part):
    """Physical values, each with its unit in its name; one that is left out is unknown, or what the file says.

    Attributes:
        far_field: false says that the detector is so near that each pattern is an image, on the object's pixels.
        corrects_file: whether a value here holds where the file states another one; without it that is refused.
    """

    photon_energy_eV: Stated | None = None
    detector_distance_m: Stated | None = None
    detector_pixel_size_m: Stated | None = None
    detector_pixel_width_m: Stated | None = None
    detector_pixel_height_m: Stated | None = None
    object_pixel_size_m: Stated | None = None
    exposure_time_s: Stated | None = None
    far_field: bool = True
    corrects_file: bool = False

    def stated(self) -> dict[str, Stated]:
        """Return the values that are known, by field."""
        return {name: value for name, value in self if isinstance(value, Stated)}

    @field_validator("*")
    @classmethod
    def _positive(cls, stated: Stated | bool | None) -> Stated | bool | None:
        if isinstance(stated, Stated) and not (math.isfinite(stated.value) and stated.value > 0):
            raise ValueError("a positive number as value")
        return stated

    @model_validator(mode="after")
    def _square_or_both(self) -> Self:
        both = (self.detector_pixel_width_m is None, self.detector_pixel_height_m is None)
        if both[0] != both[1] or (self.detector_pixel_size_m is not None and not all(both)):
            raise ValueError("either detector_pixel_size_m, or detector_pixel_width_m and detector_pixel_height_m")
        return self


class TableRoles(_Part):
    """What the columns of a table are for, where names and values do not say it clearly.

    Attributes:
        target: the column that is to be predicted.
        id: the column that names a row.
        test: the file with the rows whose target is to be predicted, e.g. ``titanic_test.csv``; by default, that of
            ``titanic_train.csv``.
    """

    target: Annotated[str, Field(min_length=1)] | None = None
    id: Annotated[str, Field(min_length=1)] | None = None
    test: Annotated[str, Field(pattern=r"^[^/]+$")] | None = None


class Card(_Part):
    """What people say about one data file.

    Attributes:
        name: short name of the dataset; left out, it is the key of its file.
        title: one line for people.
        source: where it comes from: a URL, an instrument, a person.
        version: which edition of it this is.
        licence: under what terms it may be used.
        kind: what the file is, where it could be of two kinds: scan, table, checkpoint, product or file.
        sha256: of the file itself; when given, the file must match.
        reading: how to read what the file does not say.
        physics: energies, distances and sizes that the file does not hold.
        table: what the columns of a table are for.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] | None = None
    title: str = ""
    source: Annotated[str, Field(pattern=r"\S")]
    version: Annotated[str, Field(pattern=r"\S")]
    licence: Annotated[str, Field(pattern=r"\S")]
    kind: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    reading: Reading = Reading()
    physics: Physics = Physics()
    table: TableRoles = TableRoles()

    @model_validator(mode="after")
    def _dc_in_the_far_field(self) -> Self:
        if not self.physics.far_field and self.reading.diffraction.dc == "corner":
            raise ValueError("reading.diffraction.dc: corner only in the far field; an image has no DC to move")
        return self


def card_path(path: Path) -> Path:
    """Return where the card of a data file lies: ``scan.npz`` has ``scan.npz.card.yaml`` beside it."""
    return path.with_name(path.name + SUFFIX)


def read_card(path: Path) -> Card:
    """Read one card.

    Raises:
        NotFound: there is no such file.
        ContractBroken: it is too large, not plain YAML, or a field is unknown, missing or wrong; each is named.
    """
    with open_regular(path) as file:
        data = file.read(LARGEST_NBYTES + 1)
    return parse_card(data, path.name)


def parse_card(data: bytes, source: str) -> Card:
    """Return the card in ``data``; ``source`` is its file name for messages. Raises as ``read_card`` does."""
    content = plain_mapping(data, source, Card)
    try:
        return Card.model_validate(content)
    except ValidationError as error:
        raise broken(source, _breaches(error)) from error


def plain_mapping(data: bytes, source: str, model: type[BaseModel]) -> dict[Any, Any]:
    """Return the mapping in a small text of plain YAML, whose fields ``model`` will judge.

    Raises:
        ContractBroken: it is too large, not plain YAML, or no mapping.
    """
    if len(data) > LARGEST_NBYTES:
        found, wanted = "a longer text", f"at most {LARGEST_NBYTES} bytes"
        remedy = "keep only the fields of a card"
        raise broken(source, [Violation("card.too_large", "the card", found, wanted, remedy)])
    try:
        content = yaml.load(data, Loader=_PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        found = f"text that YAML cannot read ({shown(' '.join(str(error).split()))})"
        remedy = "write `field: value` lines"
        raise broken(source, [Violation("card.not_yaml", "the card", found, "plain YAML", remedy)]) from error
    if not isinstance(content, dict):
        found = f"a {type(content).__name__}"
        wanted = f"a mapping with the fields {_fields(model)}"
        raise broken(source, [Violation("card.not_yaml", "the card", found, wanted, "write `field: value` lines")])
    return content


class _PlainLoader(yaml.SafeLoader):
    """Safe YAML without aliases, which multiply, and without repeated keys, which hide one another."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed in a card")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) != len(node.value):
            raise yaml.YAMLError(f"a field is given twice near line {node.start_mark.line + 1}")
        return mapping


def _breaches(error: ValidationError) -> Iterator[Violation]:
    for detail in error.errors(include_url=False):
        place = ".".join(shown(str(part)) for part in detail["loc"]) or "the card"
        found = shown(repr(detail["input"]))
        match detail["type"]:
            case "extra_forbidden":
                known = _fields(_model_at(detail["loc"][:-1]))
                remedy = "correct its name or remove it"
                yield Violation("card.unknown_field", place, "an unknown field", f"one of {known}", remedy)
            case "missing":
                remedy = "write it in the card"
                yield Violation("card.missing_field", place, "nothing", "this required field", remedy)
            case "literal_error":
                wanted = detail["ctx"]["expected"]
                yield Violation("card.value", place, found, wanted, "write one of these")
            case "string_type":
                yield Violation("card.value", place, found, "text", 'put it in quotes, e.g. "1.10"')
            case "model_type":
                wanted = f"a mapping with the fields {_fields(_model_at(detail['loc']))}"
                yield Violation("card.value", place, found, wanted, "write `field: value` lines under it")
            case "string_pattern_mismatch":
                wanted = f"text that matches {detail['ctx']['pattern']}"
                yield Violation("card.value", place, found, wanted, "correct it in the card")
            case _:
                wanted = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
                yield Violation("card.value", place, found, wanted, "correct it in the card")


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    model: type[BaseModel] = Card
    for part in location:
        annotation = model.model_fields[str(part)].annotation
        choices = (annotation, *getattr(annotation, "__args__", ()))
        model = next(c for c in choices if isinstance(c, type) and issubclass(c, BaseModel))
    return model


def _fields(model: type[BaseModel]) -> str:
    return ", ".join(model.model_fields)
