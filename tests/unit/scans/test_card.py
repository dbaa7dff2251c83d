"""Cards: what they may say, and that every refusal names the card, the field and the choices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from smalti.codecs.scan import Scan
from smalti.errors import ContractBroken
from smalti.formats import Content
from smalti.scans import conform
from smalti.scans.card import LARGEST_NBYTES, Card, card_path, parse_card, read_card

NEEDED = "name: star\nsource: a beamline\nversion: '1'\nlicence: CC0-1.0\n"


def test_a_card_says_how_to_read_what_the_file_does_not() -> None:
    text = """
    reading:
      diffraction: {key: data, quantity: counts, dc: corner, stack_axis: last}
      positions: {key: scan, order: [y, x], unit: m}
      probe: {key: probe}
      object: {key: truth, role: truth}
      mask: {key: flags, convention: bit_field}
    physics:
      object_pixel_size_m: {value: 75e-9, assumed: true, note: from the paper}
    """
    card = parse_card((NEEDED + "\n".join(line[4:] for line in text.splitlines())).encode(), "star.card.yaml")
    assert card.reading.names() == {
        "diffraction": "data",
        "xcoords": "scan",
        "ycoords": "scan",
        "probeGuess": "probe",
        "objectGuess": "truth",
        "bad_pixels": "flags",
    }
    assert card.physics.object_pixel_size_m is not None
    assert card.physics.object_pixel_size_m.value == 75e-9
    assert card.physics.photon_energy_eV is None
    assert parse_card(yaml.safe_dump(card.model_dump(mode="json")).encode(), "again") == card


def test_a_card_without_a_name_is_one_and_a_scan_is_then_called_after_its_file() -> None:
    text = NEEDED.removeprefix("name: star\n") + "reading: {diffraction: {quantity: amplitude, dc: centre}}\n"
    card = parse_card(text.encode(), "star.card.yaml")
    assert card.name is None
    arrays = {"diffraction": np.ones((3, 16, 16), "f4"), "xcoords": np.arange(3.0), "ycoords": np.arange(3.0)}
    result = conform(Content(arrays), card, file_name="run-7.npz")
    assert isinstance(result.value, Scan)
    assert result.value.metadata.name == "run-7"


def test_a_card_without_directions_leaves_all_to_the_contract() -> None:
    assert parse_card(NEEDED.encode(), "star.card.yaml").reading.names() == {}


REFUSED = {
    "DC of an image": (
        NEEDED + "reading: {diffraction: {dc: corner}}\nphysics: {far_field: false}\n",
        "card.value",
        "corner only in the far field",
    ),
    "neither far nor near": (
        NEEDED + "physics: {far_field: a bit}\n",
        "card.value",
        "physics.far_field: found 'a bit', wanted a valid boolean",
    ),
    "no licence": (
        "name: a\nsource: b\nversion: c\n",
        "card.missing_field",
        "licence: found nothing, wanted this required",
    ),
    "blank source": ("name: a\nsource: ' '\nversion: c\nlicence: d\n", "card.value", "source: found"),
    "a number for text": (
        NEEDED.replace("'1'", "1.10"),
        "card.value",
        "version: found 1.1, wanted text; put it in quot",
    ),
    "name with a slash": (NEEDED.replace("star", "a/b"), "card.value", "name: found 'a/b', wanted text that matches"),
    "short digest": (NEEDED + "sha256: abc\n", "card.value", "sha256: found 'abc'"),
    "unknown field": (
        NEEDED + "author: me\n",
        "card.unknown_field",
        "one of name, title, source, version, licence, kind, sha256, reading, physics",
    ),
    "misspelt field": (
        NEEDED + "reading: {diffraction: {dcc: corner}}\n",
        "card.unknown_field",
        "reading.diffraction.dcc: found an unknown field, wanted one of key, quantity, dc, stack_axis, codes",
    ),
    "unknown physics": (NEEDED + "physics: {energy: 1}\n", "card.unknown_field", "one of photon_energy_eV, detector"),
    "unknown in a value": (
        NEEDED + "physics: {photon_energy_eV: {value: 1, unit: eV}}\n",
        "card.unknown_field",
        "physics.photon_energy_eV.unit: found an unknown field, wanted one of value, assumed, note",
    ),
    "no such choice": (
        NEEDED + "reading: {diffraction: {dc: middle}}\n",
        "card.value",
        "reading.diffraction.dc: found 'middle', wanted 'centre' or 'corner'",
    ),
    "no such axis": (
        NEEDED + "reading: {positions: {key: a, order: [y, z]}}\n",
        "card.value",
        "order: [x, y] or [y, x]",
    ),
    "no y": (NEEDED + "reading: {positions: {key: a, order: [x, z]}}\n", "card.value", "order: [x, y] or [y, x]"),
    "no such unit": (
        NEEDED + "reading: {positions: {unit: cm}}\n",
        "card.value",
        "reading.positions.unit: found 'cm', wanted 'px', 'm', 'mm', 'um' or 'nm'",
    ),
    "no such convention": (
        NEEDED + "reading: {mask: {convention: inverted}}\n",
        "card.value",
        "wanted 'true_is_bad', 'true_is_good' or 'bit_field'",
    ),
    "width without height": (
        NEEDED + "physics: {detector_pixel_width_m: {value: 7.5e-5}}\n",
        "card.value",
        "either detector_pixel_size_m, or detector_pixel_width_m and detector_pixel_height_m",
    ),
    "same axis twice": (NEEDED + "reading: {positions: {key: a, order: [y, y]}}\n", "card.value", "[x, y] or [y, x]"),
    "key without order": (NEEDED + "reading: {positions: {key: a}}\n", "card.value", "wanted key and order together"),
    "x without y": (NEEDED + "reading: {positions: {xcoords: a}}\n", "card.value", "xcoords and ycoords together"),
    "both forms": (
        NEEDED + "reading: {positions: {xcoords: a, ycoords: b, key: c, order: [x, y]}}\n",
        "card.value",
        "either xcoords and ycoords, or key and order",
    ),
    "bare number": (
        NEEDED + "physics: {photon_energy_eV: 8800}\n",
        "card.value",
        "physics.photon_energy_eV: found 8800, wanted a mapping with the fields value, assumed, note",
    ),
    "no distance": (NEEDED + "physics: {detector_distance_m: {value: 0}}\n", "card.value", "wanted a positive number"),
    "infinite": (NEEDED + "physics: {exposure_time_s: {value: .inf}}\n", "card.value", "wanted a positive number"),
    "a list": ("- a\n", "card.not_yaml", "found a list, wanted a mapping with the fields name"),
    "empty": ("", "card.not_yaml", "found a NoneType"),
    "broken YAML": ("name: [", "card.not_yaml", "text that YAML cannot read"),
    "a tag": (NEEDED + "title: !!python/object/apply:os.system [ls]\n", "card.not_yaml", "could not determine"),
    "an alias": ("a: &a [x]\nb: *a\n", "card.not_yaml", "aliases are not allowed"),
    "a field twice": (NEEDED + "reading: {probe: {key: a, key: b}}\n", "card.not_yaml", "given twice near line 5"),
    "deep": ("[" * 5000, "card.not_yaml", "text that YAML cannot read"),
    "not text": ("\x00\x01", "card.not_yaml", "text that YAML cannot read"),
    "long": ("#" * (LARGEST_NBYTES + 1), "card.too_large", "at most 65536 bytes"),
}


@pytest.mark.parametrize(("text", "code", "says"), REFUSED.values(), ids=REFUSED)
def test_a_refused_card_names_itself_the_field_and_the_choices(tmp_path: Path, text: str, code: str, says: str) -> None:
    path = tmp_path / "star.card.yaml"
    path.write_text(text)
    with pytest.raises(ContractBroken) as refusal:
        read_card(path)
    [violation] = refusal.value.violations
    assert violation.code == code
    assert says in str(violation)
    assert str(refusal.value) == f"star.card.yaml: {violation}"


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(ContractBroken) as refusal:
        parse_card(b"name: a\nlicense: MIT\n", "star.card.yaml")
    places = {violation.place for violation in refusal.value.violations}
    assert places == {"source", "version", "licence", "license"}


def test_a_thousand_wrong_fields_still_make_a_short_message() -> None:
    with pytest.raises(ContractBroken, match=r"star\.card\.yaml: and 991 more violations") as refusal:
        parse_card("\n".join(f"field{i}: 1" for i in range(1000)).encode(), "star.card.yaml")
    assert len(refusal.value.violations) == 1003
    assert str(refusal.value).count("\n") == 12


def test_the_card_of_a_file_lies_beside_it() -> None:
    assert card_path(Path("data/raw/star.npz.bz2")) == Path("data/raw/star.npz.bz2.card.yaml")


def test_the_fields_of_a_card_are_documented() -> None:
    assert Card.__doc__ is not None
    assert all(f"{field}:" in Card.__doc__ for field in Card.model_fields)
