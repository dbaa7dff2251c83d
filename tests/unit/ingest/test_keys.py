"""File names from outside become keys: distinct, and safe as partitions, store names and folders."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.ingest.keys import file_key, file_keys, free_key, same_name
from smalti.store.names import check_name

_AWKWARD = ["..", "...", ".", "-", "_", "a", "A", "ä", "a\u0308", "ﬁ", "\u202e", "\n", "\x7f", " ", "%2e", "\\", "CON"]
_FILENAMES = st.one_of(
    st.text(st.characters(blacklist_characters="/\0"), min_size=1, max_size=60),
    st.binary(min_size=1, max_size=40).map(lambda b: os.fsdecode(b.replace(b"/", b"-").replace(b"\0", b"-"))),
    st.lists(
        st.sampled_from([*_AWKWARD, ".npz", ".npz.bz2", ".h5", ".cxi", ".zip", "1", "-508ad4"]), min_size=1, max_size=6
    ).map("".join),
)


def legal_partition_key(key: str) -> bool:
    return "..." not in key and key.isprintable() and bool(key)


@given(_FILENAMES)
def test_every_key_is_legal_as_partition_store_name_and_folder(filename: str) -> None:
    for key in file_keys(filename):
        assert legal_partition_key(key)
        assert check_name(f"raw_scan/{key}")
        assert "/" not in key
        assert key not in (".", "..")
        assert not key.startswith(".")
        assert len(os.fsencode(key)) <= 128


@given(st.lists(_FILENAMES, max_size=40))
def test_no_two_files_share_a_key_even_where_case_is_ignored(filenames: list[str]) -> None:
    owners: dict[str, str] = {}
    keys = {}
    for filename in filenames:
        key = free_key(filename, lambda key: owners.get(key.casefold()))
        owners[key.casefold()] = same_name(filename)
        keys[same_name(filename)] = key
    assert len({key.casefold() for key in keys.values()}) == len(keys)


@given(_FILENAMES)
def test_names_that_unicode_holds_for_equal_have_equal_keys(filename: str) -> None:
    assert file_key(unicodedata.normalize("NFD", filename)) == file_key(unicodedata.normalize("NFC", filename))


@given(_FILENAMES)
def test_a_key_depends_on_nothing_but_the_name(filename: str) -> None:
    assert list(file_keys(filename)) == list(file_keys(filename))
    assert len(set(file_keys(filename))) == len(list(file_keys(filename)))


def test_half_a_surrogate_pair_and_a_byte_that_is_no_text_have_keys_of_their_own() -> None:
    names = ["\ud800", "\udc80", os.fsdecode(b"\xff")]
    assert len({file_key(name) for name in names}) == 3


@pytest.mark.parametrize(
    ("filename", "key"),
    [
        ("scan7.npz", "scan7"),
        ("Run_12.v2.npz.gz", "Run_12.v2"),
        ("Läufe 7.npz", "Laufe-7-508ad4"),
        ("plain", "plain"),
        ("scan7.cxi", "scan7"),
        ("scan7.H5.gz", "scan7"),
        ("train.csv", "train"),
        ("model.safetensors", "model"),
        ("notes.pdf", "notes.pdf"),
        ("scan7.cxi.h5", "scan7.cxi"),
    ],
)
def test_a_plain_name_stays_as_it_is(filename: str, key: str) -> None:
    assert file_key(filename) == key


@pytest.mark.parametrize("filename", ["..npz", "....npz", "../../etc/passwd", "/etc/passwd", "a...b.npz", "x" * 255])
def test_a_name_that_could_be_a_path_or_is_too_long_is_marked(filename: str) -> None:
    key = file_key(filename)
    assert ".." not in key
    assert "/" not in key
    assert len(key) <= 67
    assert key != filename


def test_a_forged_mark_takes_no_key_away() -> None:
    owners = {"laufe-7-508ad4": "Laufe-7-508ad4.npz"}
    key = free_key("Läufe 7.npz", lambda key: owners.get(key.casefold()))
    assert key.startswith("Laufe-7-508ad4")
    assert key.casefold() not in owners
