"""The card of a dataset: what it must say, and the sentence where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from smalti.datasets import DatasetCard
from smalti.datasets.card import card_to_write, parse_dataset_card, read_dataset_card
from smalti.errors import NotFound, Refused
from smalti.scans import Card

FIELDS = {"name": "ames", "source": "https://example.org/ames.csv", "version": "2011", "licence": "CC BY 4.0"}
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=40)


@pytest.mark.parametrize("missing", ["source", "licence", "version"])
def test_a_card_without_a_required_field_is_refused_and_shows_the_card_to_write(missing: str) -> None:
    known = {name: value for name, value in FIELDS.items() if name != missing}
    with pytest.raises(Refused, match=f"card of ames cannot be used: {missing} is missing; write it like this") as told:
        DatasetCard(**known)
    shown = yaml.safe_load(str(told.value).split(":\n", 1)[1])
    assert {name: shown[name] for name in known} == known
    assert shown[missing].startswith("<")
    DatasetCard(**{**shown, missing: "written now"})


@pytest.mark.parametrize("nothing", ["", "  ", "<under what terms it may be used>"])
def test_a_field_that_is_still_to_be_written_counts_as_missing(nothing: str) -> None:
    with pytest.raises(Refused, match="licence is still to be written"):
        DatasetCard(**{**FIELDS, "licence": nothing})


def test_an_unknown_field_is_refused_with_those_there_are() -> None:
    with pytest.raises(Refused, match=r"license is no field of it \(the fields are name, .*licence"):
        DatasetCard(**{**FIELDS, "license": "CC0"})


def test_a_number_where_text_belongs_is_refused_with_the_way() -> None:
    with pytest.raises(Refused, match=r"v.yaml: .*version is 1.1, which is no text \(put it in quotes\)"):
        parse_dataset_card(yaml.safe_dump({**FIELDS, "version": 1.1}).encode(), "v.yaml")


def test_a_checksum_that_is_none_is_refused() -> None:
    with pytest.raises(Refused, match=r"sha256 is 'abc', which is no SHA-256 \(64 digits and letters"):
        DatasetCard(**FIELDS, sha256="abc")


@pytest.mark.parametrize("name", ["../x", "größe", "two words", ""])
def test_a_name_that_cannot_be_one_is_refused_in_words(name: str) -> None:
    with pytest.raises(Refused, match=r"which is no name \(letters, digits"):
        DatasetCard(**{**FIELDS, "name": name})


@given(st.lists(TEXT, max_size=3), TEXT, st.lists(TEXT, max_size=2), TEXT)
def test_a_card_written_as_yaml_is_read_back(steps: list[str], usage: str, quality: list[str], title: str) -> None:
    card = DatasetCard(**FIELDS, processing=steps, usage=usage, quality=quality, title=title, sha256="0" * 64)
    assert parse_dataset_card(card.to_yaml().encode(), "card.yaml") == card


def test_a_card_is_read_from_a_file_that_people_wrote(tmp_path: Path) -> None:
    (tmp_path / "ames.card.yaml").write_text(
        "name: ames\nsource: De Cock\nversion: '2011'\nlicence: CC BY 4.0\nprocessing:\n- outliers kept\n"
        "quality: [NA means none]\nchecksums: {train.csv: " + "a" * 64 + "}\ncitation: De Cock 2011\n"
    )
    card = read_dataset_card(tmp_path / "ames.card.yaml")
    assert (card.processing, card.quality, card.citation) == (("outliers kept",), ("NA means none",), "De Cock 2011")
    with pytest.raises(NotFound):
        read_dataset_card(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", [b"[1, 2]", b"{a: ", b"a: &x 1\nb: *x", b"\xff\xfe", b"x: " + b"y" * 70_000])
def test_what_is_no_card_is_refused(text: bytes) -> None:
    with pytest.raises(Refused, match=r"card\.yaml"):
        parse_dataset_card(text, "card.yaml")


def test_the_fields_are_called_as_in_the_card_of_a_scan() -> None:
    shared = {"name", "title", "source", "version", "licence", "sha256"}
    assert shared <= DatasetCard.model_fields.keys() & Card.model_fields.keys()


def test_the_card_to_write_is_yaml_that_is_refused_until_it_is_written() -> None:
    with pytest.raises(Refused, match=r"source is still to be written, version .*, licence"):
        parse_dataset_card(card_to_write({"name": "x"}).encode(), "x.card.yaml")
