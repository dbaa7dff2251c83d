"""Laws of keeping the gallery: it shows what the folders hold, whoever writes at once, and takes no place of others."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smalti.errors import Refused
from smalti.gallery.update import rebuild_gallery, update_gallery
from smalti.outputs.folder import write_parts
from smalti.outputs.parts import Card, Part, rows_of


def write(folder: Path, name: str, figure: str = "1", of: str = "scan") -> None:
    rows = {"metrics.csv": rows_of(("metric",), [("x",)])}
    card = Card((("R-factor", figure),), "a.webp", "object")
    write_parts(folder, of, name, [Part("solved", figure, files={"a.webp": b""}, tables=rows, card=card)])


def shown(folder: Path) -> list[str]:
    return re.findall(r"<h2><a href=\"([^\"]+)/\">", (folder / "index.html").read_text())


def test_what_was_written_is_shown_at_once(tmp_path) -> None:
    write(tmp_path, "run 7", "0.0213")
    page = update_gallery(tmp_path, ["run 7"])
    assert page == tmp_path / "index.html"
    (key,) = shown(tmp_path)
    assert (tmp_path / key / "a.webp").is_file()
    for said in ("run 7", "0.0213", f"{key}/metrics.csv", f"{key}/a.webp"):
        assert said in page.read_text()
    write(tmp_path, "run 7", "0.5")
    update_gallery(tmp_path, ["run 7"])
    assert "0.0213" not in page.read_text()


def test_of_the_others_only_the_small_files_are_read(tmp_path) -> None:
    for name in ("a", "b"):
        write(tmp_path, name)
    update_gallery(tmp_path, ["a", "b"])
    (tmp_path / "b" / ".parts.json").unlink()
    update_gallery(tmp_path, ["a"])
    assert sorted(shown(tmp_path)) == ["a", "b"]
    rebuild_gallery(tmp_path)
    assert shown(tmp_path) == ["a"]


def test_what_is_gone_is_shown_no_more(tmp_path) -> None:
    for name in ("a", "b"):
        write(tmp_path, name)
    update_gallery(tmp_path, ["a", "b"])
    (tmp_path / "b").rename(tmp_path.parent / "b")
    update_gallery(tmp_path, ["a"])
    assert shown(tmp_path) == ["a"]


def test_a_damaged_small_file_is_passed_over_and_made_anew_by_a_rebuild(tmp_path) -> None:
    for name in ("a", "b"):
        write(tmp_path, name)
    update_gallery(tmp_path, ["a", "b"])
    (tmp_path / ".gallery" / "entries" / "a.json").write_text('{"key": 1')
    (tmp_path / ".gallery" / "entries" / "b.json").write_text("[]")
    update_gallery(tmp_path, [])
    assert shown(tmp_path) == []
    rebuild_gallery(tmp_path)
    assert sorted(shown(tmp_path)) == ["a", "b"]


def test_writers_at_once_lose_no_entry(tmp_path) -> None:
    def both(name: str) -> None:
        write(tmp_path, name)
        update_gallery(tmp_path, [name])

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(both, [f"run{n}" for n in range(12)]))
    assert sorted(shown(tmp_path)) == sorted(f"run{n}" for n in range(12))


@pytest.mark.parametrize("content", ["<html>my own page</html>", None])
def test_a_page_of_others_is_not_replaced(tmp_path, content) -> None:
    page = tmp_path / "index.html"
    page.write_text(content) if content else page.mkdir()
    with pytest.raises(Refused, match=r"index\.html is no gallery of Smalti, so it is not replaced; move it away"):
        update_gallery(tmp_path, [])
    assert page.is_dir() or page.read_text() == content


def test_products_and_folders_of_others_are_no_entries(tmp_path) -> None:
    write(tmp_path, "a")
    (tmp_path / "ptychodus_products").mkdir()
    (tmp_path / "mine").mkdir()
    rebuild_gallery(tmp_path)
    assert shown(tmp_path) == ["a"]
