"""Recipes, names, pins, manifests and store.json that somebody made up are Damaged or Refused, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.digest import is_address
from smalti.errors import Damaged, NotFound, Refused
from smalti.store import identity
from smalti.store.backends.memory import MemoryBackend
from smalti.store.documents import Documents
from smalti.store.format import recipe as recipes
from smalti.store.format.recipe import Extent, Recipe
from smalti.store.format.sealed import seal, seal_spelled, unseal
from smalti.store.manifests import manifest as manifests
from smalti.store.manifests.manifest import Manifest, Step
from smalti.store.names import Names, NameVersion
from smalti.store.pins import Pins

ONE, TWO = ("sha256:" + digit * 64 for digit in "12")
HOSTILE = st.sampled_from(
    [
        None, True, -1, 0, 2, 2**62, 2**70, 1.5, float("nan"), "", "é", "\ud800", "../../x", "000001", ONE, TWO,
        "1" * 64, [], [[]], [[0]], [[0, 0, 2**62]], [[7, 0, 1]], [[-2, 0, 1]], [[0, -1, 1]], [[True, 0, 1]],
        [["0", 0, 1]], ["x"], {}, {"x": 1}, {"x": [ONE]}, {"x": ONE}, [{}], [{"name": 1}],
        [{"name": "s", "inputs": []}], [{"name": "s", "outputs": {"x": 5}}], [{"name": "s", "more": 1}],
    ]
)  # fmt: skip
NAMES = st.sampled_from(
    ["format", "name", "version", "run", "inputs", "sources", "extents", "steps", "x", "check", "é"]
)


def sealed(document: Any) -> bytes:
    return seal_spelled(json.dumps(document).encode())


def mutated(data: st.DataObject, content: bytes) -> bytes:
    """The document changed in one to three places, with a check that fits."""
    document = unseal(content, "it")
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from([*document]) if document and data.draw(st.booleans()) else NAMES)
        if data.draw(st.integers(0, 3)):
            document[name] = deepcopy(data.draw(HOSTILE))
        else:
            document.pop(name, None)
    return sealed(document)


RECIPE = Recipe(4096, (TWO,), (Extent(0, 0, 10), Extent(-1, 0, 5), Extent(0, 20, 10))).dump()
VERSION = seal({"name": "a/star", "version": 1, "address": ONE, "at": "2026-01-01T00:00:00+00:00"})
PIN = seal({"address": ONE})
MANIFEST = manifests.dump(
    Manifest(
        "run", "2026-01-01", {"x": ONE}, {"y": TWO}, (Step("s", {"x": ONE}, {"y": TWO}),), views=("all",), notes=[1]
    )
)


def documents_of(key: str, content: bytes) -> Documents:
    backend = MemoryBackend()
    backend.documents[key] = content
    return Documents(backend)


def read_recipe(content: bytes) -> None:
    recipe = recipes.parse(ONE, content)
    assert all(is_address(source) and source != ONE for source in recipe.sources)
    assert recipe.nbytes >= recipe.own_nbytes >= 0
    assert sum(n for *_, n in recipe.within(0, recipe.nbytes)) == recipe.nbytes
    assert recipes.parse(ONE, recipe.dump()) == recipe


def read_name(content: bytes) -> None:
    key = "names/a/star/@000001.json"
    version = Names(documents_of(key, content)).read(key)
    assert (version.name, version.version) == ("a/star", 1)
    assert is_address(version.address)
    assert type(version.version) is int
    assert isinstance(version.at, str)


def read_pin(content: bytes) -> None:
    key = f"pins/{'1' * 64}.json"
    assert Pins(documents_of(key, content)).read(key) == ONE


def read_manifest(content: bytes) -> None:
    manifest = manifests.parse(content, "manifests/run.json")
    assert manifest.run == "run"
    assert all(map(is_address, manifest.addresses() - manifest.described_by()))
    assert manifests.parse(manifests.dump(manifest), "manifests/run.json") == manifest
    manifest.uses(ONE)


DOCUMENTS: dict[str, tuple[bytes, Callable[[bytes], None]]] = {
    "recipe": (RECIPE, read_recipe),
    "name": (VERSION, read_name),
    "pin": (PIN, read_pin),
    "manifest": (MANIFEST, read_manifest),
}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_what_was_written_is_read(kind: str) -> None:
    content, read = DOCUMENTS[kind]
    read(content)


@pytest.mark.parametrize("kind", DOCUMENTS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_forged_document_is_refused_or_says_what_such_a_document_may(kind: str, data: st.DataObject) -> None:
    content, read = DOCUMENTS[kind]
    try:
        read(mutated(data, content))
    except (Damaged, Refused):
        return


@pytest.mark.parametrize("kind", DOCUMENTS)
@settings(max_examples=50, deadline=None)
@given(at=st.integers(0), change=st.integers(1, 255), cut=st.booleans())
def test_damage_to_a_document_is_found(kind: str, at: int, change: int, cut: bool) -> None:
    content, read = DOCUMENTS[kind]
    at %= len(content)
    with pytest.raises(Damaged):
        read(content[:at] if cut else content[:at] + bytes([content[at] ^ change]) + content[at + 1 :])


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"{" * 100_000, b"null", b"[]", b"{}", b"\xff", b'{"a":' + b"9" * 5000 + b"}", b"{\x00}"]
)
def test_a_sealed_document_that_is_none_is_damage(kind: str, body: bytes) -> None:
    _, read = DOCUMENTS[kind]
    with pytest.raises((Damaged, Refused)):
        read(seal_spelled(body))


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{}", b"[]", b"null", b"[" * 100_000, b"\xff", b'{"format": 2}', b'{"id": "x"}'),
        *(b'{"format": 3, "id": "x"}', b'{"format": [2], "id": "x"}', b'{"format": ' + b"9" * 5000 + b', "id": 1}'),
    ],
)
def test_a_store_json_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(Refused):
        identity.check(documents_of("store.json", content))


def test_a_store_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="there is no store"):
        identity.check(Documents(MemoryBackend()))


def test_a_version_is_what_a_name_is_given() -> None:
    names = Names(documents_of("x", b""))
    names.give("a/star", ONE)
    (version,) = names.versions("a/star")
    assert version == NameVersion("a/star", 1, ONE, version.at)


@pytest.mark.parametrize("packed", [b"", b"x" * 4096, bytes(4096)])
def test_framing_that_is_none_is_damage(packed: bytes) -> None:
    with pytest.raises(Damaged, match="the framing in delta"):
        recipes.unpack_framing(packed)
