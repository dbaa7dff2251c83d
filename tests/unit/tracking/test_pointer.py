"""Laws of pointer files: equal content gives equal bytes, and what is no pointer is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.errors import NotFound, Refused
from smalti.tracking import data_path, is_tracked, tracked_below
from smalti.tracking.pointer import Pointer, parse, read, write

POINTER = Pointer("folder", "sha256:" + "0a" * 32, 10_000, 33_816_576)

pointers = st.builds(
    Pointer,
    st.sampled_from(["file", "executable", "folder"]),
    st.text("0123456789abcdef", min_size=64, max_size=64).map(lambda digits: f"sha256:{digits}"),
    st.integers(0, 10**12),
    st.integers(0, 10**18),
)


@given(pointers)
@settings(deadline=None)
def test_a_pointer_comes_back_from_its_file(pointer: Pointer) -> None:
    assert parse(pointer.dump(), "x.smalti") == pointer


@given(pointers)
@settings(deadline=None)
def test_a_pointer_file_is_yaml_of_one_field_a_line(pointer: Pointer) -> None:
    fields = yaml.safe_load(pointer.dump())
    assert fields == {
        "format": 1,
        "kind": pointer.kind,
        "digest": pointer.digest,
        "files": pointer.files,
        "nbytes": pointer.nbytes,
    }
    assert len(pointer.dump().splitlines()) == len(fields)


def test_line_ends_of_windows_are_as_good() -> None:
    assert parse(POINTER.dump().replace(b"\n", b"\r\n"), "x.smalti") == POINTER


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is no pointer file"),
        (b"\xff\xfe", "is no pointer file"),
        (POINTER.dump() + b"more: 1\n", "is no pointer file"),
        (POINTER.dump().replace(b"folder", b"device"), "is no pointer file"),
        (POINTER.dump().replace(b"10000", b"-1"), "is no pointer file"),
        (POINTER.dump().replace(b"sha256:0a", b"sha256:0A"), "is no pointer file"),
        (POINTER.dump().replace(b"format: 1", b"format: 2"), "has the format '2'; this version of Smalti reads 1"),
        (b"<<<<<<< HEAD\n" + POINTER.dump() + b"=======\n", "holds a merge conflict; keep the lines of one side"),
    ],
)
def test_what_is_no_pointer_is_refused(content: bytes, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        parse(content, "x.smalti")


def test_a_pointer_is_written_once_and_found_by_either_name(tmp_path: Path) -> None:
    path = tmp_path / "images"
    assert write(path, POINTER)
    assert not write(path, POINTER)
    assert read(path) == POINTER
    assert data_path(tmp_path / "images.smalti") == path
    assert is_tracked(path)
    assert is_tracked(tmp_path / "images.smalti")


def test_a_path_without_a_pointer_says_how_to_track_it(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"images is not tracked: there is no .*images.smalti; track it: smalti put"):
        read(tmp_path / "images")


def test_pointers_are_looked_for_everywhere_but_in_what_is_tracked_and_in_the_store(tmp_path: Path) -> None:
    for name in ("b", "a", "deep/er/c", "store/no", ".git/no"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, POINTER)
    (tmp_path / "a").mkdir()
    write(tmp_path / "a" / "data of ours", POINTER)
    (tmp_path / "linked").symlink_to(tmp_path / "deep")
    found = list(tracked_below(tmp_path, but=tmp_path / "store"))
    assert found == [tmp_path / "a", tmp_path / "b", tmp_path / "deep" / "er" / "c"]


@pytest.mark.parametrize("name", [".", "..", ".git", ".GIT"])
def test_a_pointer_for_what_is_outside_or_git_s_own_is_refused_and_named(tmp_path: Path, name: str) -> None:
    """Else a clone could be made to write beside itself, or settings of git that run a program."""
    (tmp_path / "sub").mkdir()
    hostile = tmp_path / "sub" / f"{name}.smalti"
    hostile.write_bytes(POINTER.dump())
    with pytest.raises(Refused, match="cannot be a pointer file"):
        list(tracked_below(tmp_path))
    assert not is_tracked(hostile), "it can be named, too"
    assert data_path(hostile) == hostile


def test_a_path_without_a_name_has_no_pointer() -> None:
    with pytest.raises(Refused, match="cannot be a pointer file"):
        read(Path())
