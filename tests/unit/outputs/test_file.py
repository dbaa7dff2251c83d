"""Laws of an output where somebody named a place: whole or not at all, and never over a file of others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smalti.errors import NotFound, Refused, Unavailable
from smalti.outputs.file import check_place, write_output
from smalti.outputs.page import is_page, page


def test_what_is_there_stays(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    with pytest.raises(Refused, match="exists already; name another place with --output"):
        write_output(mine, b"new")
    with pytest.raises(Refused, match="is no page of Smalti"):
        write_output(mine, b"new", is_page)
    assert mine.read_bytes() == b"mine"
    with pytest.raises(Refused, match="is a folder"):
        check_place(tmp_path, is_page)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(Refused, match="exists already"):
        check_place(tmp_path / "link")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "mine"]


def test_a_page_replaces_a_page_and_a_link_to_one_stays_a_link(tmp_path: Path) -> None:
    one, other = (page(title, ["<p>x</p>"]).encode() for title in ("one", "other"))
    path, link = tmp_path / "page.html", tmp_path / "link.html"
    write_output(path, one, is_page)
    link.symlink_to(path)
    write_output(link, other, is_page)
    assert link.is_symlink()
    assert path.read_bytes() == other


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is no folder; create it first"):
        write_output(tmp_path / "no" / "page.html", b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(Unavailable, match="writing"):
        write_output(tmp_path / "locked" / "x", b"x")
