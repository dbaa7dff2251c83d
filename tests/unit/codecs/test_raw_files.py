"""Originals record the contract they passed; those stored before there was such a record keep their address."""

from __future__ import annotations

from smalti import open_store
from smalti.codecs.rawfile import RawFile, RawFileCodec


def test_an_original_records_the_contract_it_passed() -> None:
    store = open_store("memory:")
    ref = store.put(RawFile("a.npz", b"zip", {"licence": "CC0"}, "scan/1"))
    assert store.get(ref).contract == "scan/1"
    later = store.put(RawFile("a.npz", b"zip", {"licence": "CC0"}, "scan/2"))
    assert later.digest != ref.digest
    assert store.record(later.digest).children == store.record(ref.digest).children


def test_an_original_of_before_is_what_it_was() -> None:
    tree = RawFileCodec().to_tree(RawFile("a.npz", b"zip", {"licence": "CC0"}))
    assert tree.attrs == {"filename": "a.npz", "card": {"licence": "CC0"}}
    assert RawFileCodec().from_tree(tree).contract == ""
