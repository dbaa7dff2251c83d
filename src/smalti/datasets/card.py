"""The card of a dataset: where it comes from, under what terms, what was done to it, how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from smalti.contracts.violation import shown
from smalti.errors import Refused
from smalti.formats.regular_file import open_regular
from smalti.scans.card import LARGEST_NBYTES, plain_mapping

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
_SHA256 = r"^[0-9a-f]{64}$"
_IN_WORDS = {
    _NAME: "name (letters, digits, '.', '_' and '-', at most 128 of them, the first a letter or digit)",
    _SHA256: "SHA-256 (64 digits and letters from a to f)",
}
_TO_WRITE = {
    "name": "<short name of the dataset>",
    "source": "<where it comes from: a URL, an instrument, a person>",
    "version": "<which edition of it this is>",
    "licence": "<under what terms it may be used, e.g. CC BY 4.0>",
    "processing": ["<what was done to it, step by step>"],
    "usage": "<how it is used, e.g. fetch_dataset('name', split='train')>",
}


class DatasetCard(BaseModel):
    """What people say about one dataset; a scan's own card, :class:`smalti.scans.Card`, names these fields alike.

    Attributes:
        name: short name of the dataset.
        title: one line for people.
        source: where it comes from: a URL, an instrument, a person.
        version: which edition of it this is.
        licence: under what terms it may be used.
        processing: what was done to the original, in order, one step in each entry.
        usage: how it is used, for people.
        sha256: of the file, where the dataset is one file.
        checksums: SHA-256 by file name, where it is several.
        quality: what is known to be wrong with it, one problem in each entry.
        citation: how to cite it.

    Raises:
        Refused: a field is missing, unknown or wrong; the message shows the card to write.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=_NAME)]
    title: str = ""
    source: str
    version: str
    licence: str
    processing: tuple[str, ...] = ()
    usage: str = ""
    sha256: Annotated[str, Field(pattern=_SHA256)] | None = None
    checksums: dict[str, Annotated[str, Field(pattern=_SHA256)]] = {}
    quality: tuple[str, ...] = ()
    citation: str | None = None

    @field_validator("source", "version", "licence")
    @classmethod
    def _said(cls, text: str) -> str:
        plain = text.strip()
        if not plain or (plain.startswith("<") and plain.endswith(">")):
            raise ValueError("is still to be written")
        return plain

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise Refused(_refusal(error, fields)) from error

    def to_document(self) -> dict[str, Any]:
        """Return the fields that say something, as JSON has them."""
        return {name: value for name, value in self.model_dump(mode="json").items() if value}

    def to_yaml(self) -> str:
        """Return the card as it is written into a file."""
        return _as_yaml(self.to_document())


def read_dataset_card(path: Path) -> DatasetCard:
    """Read the card of a dataset from a YAML file.

    Raises:
        NotFound: there is no such file.
        Refused: it is not plain YAML, or a field is missing, unknown or wrong; the message shows the card to write.
    """
    with open_regular(path) as file:
        return parse_dataset_card(file.read(LARGEST_NBYTES + 1), path.name)


def parse_dataset_card(data: bytes, source: str) -> DatasetCard:
    """Return the card in ``data``; ``source`` is its file name for messages. Raises as ``read_dataset_card`` does."""
    content = plain_mapping(data, source, DatasetCard)
    try:
        return DatasetCard(**{str(name): value for name, value in content.items()})
    except Refused as error:
        raise Refused(f"{shown(source)}: {error}") from error


def card_to_write(known: Mapping[str, Any]) -> str:
    """Return the YAML of a card with what is known filled in, and ``<...>`` where a person has to write."""
    return _as_yaml({**_TO_WRITE, **{name: value for name, value in known.items() if value}})


def _refusal(error: ValidationError, fields: Mapping[str, Any]) -> str:
    details = error.errors(include_url=False)
    faulty = {str(detail["loc"][0]) for detail in details if detail["loc"]}
    known = {name: fields[name] for name in _TO_WRITE if name in fields and name not in faulty}
    name = shown(str(fields.get("name") or "a dataset"))
    faults = ", ".join(_fault(detail) for detail in details)
    return f"the card of {name} cannot be used: {faults}; write it like this:\n{card_to_write(known)}"


def _fault(detail: Any) -> str:
    place = ".".join(shown(str(part)) for part in detail["loc"]) or "the card"
    match detail["type"]:
        case "missing":
            return f"{place} is missing"
        case "extra_forbidden":
            return f"{place} is no field of it (the fields are {', '.join(DatasetCard.model_fields)})"
        case "string_type":
            return f"{place} is {shown(repr(detail['input']))}, which is no text (put it in quotes)"
        case "string_pattern_mismatch":
            return f"{place} is {shown(repr(detail['input']))}, which is no {_IN_WORDS[detail['ctx']['pattern']]}"
        case "value_error":
            return f"{place} {detail['msg'].removeprefix('Value error, ')}"
        case _:
            return f"{place} is {shown(repr(detail['input']))} ({detail['msg']})"


def _as_yaml(document: Mapping[str, Any]) -> str:
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in document.items()}
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
