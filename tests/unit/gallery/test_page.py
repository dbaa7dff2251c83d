"""Laws of the gallery's page: every entry is there, foreign text is only text, nothing is fetched from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from smalti.gallery.entry import Entry
from smalti.gallery.page import gallery_page
from smalti.outputs.page import is_page

TAGS = set(
    re.findall(
        r"\w+",
        "a body dd div dl dt form h1 h2 head header html img input li main meta option output p script select style "
        "time title ul",
    )
)
EVIL = "<script>alert(1)</script> \"'>\u202e&amp;"


class Parsed(HTMLParser):
    """Tags with their attributes, and the text beside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] not in ("script", "style"):
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def entry(key: str, at: str = "2026-01-01T00:00:00+00:00", **more: Any) -> Entry:
    return Entry(**{"key": key, "of": "scan", "name": key, "at": at, **more})


def test_the_newest_entry_comes_first_and_equal_ones_by_name() -> None:
    page = gallery_page([entry("b"), entry("c", "2026-02-01T00:00:00+00:00"), entry("a")])
    assert re.findall(r"<h2><a href=\"(\w)/\">", page) == ["c", "a", "b"]
    assert "3 scans" in page
    assert is_page(page[:200].encode())


def test_an_entry_shows_its_picture_its_figures_and_its_links() -> None:
    page = gallery_page(
        [
            entry(
                "run 7",
                thumbnail="run 7/thumbnails/scan.webp",
                alt="mean pattern",
                figures=(("R-factor", "0.0213"),),
                links=(("product", "ptychodus_products/run 7.h5"),),
                older=("resolution",),
                asset="ptychodus_product",
                run_id="ab-cd",
            )
        ],
        "http://127.0.0.1:3000/",
    )
    parsed = Parsed(page)
    (image,) = parsed.all("img")
    assert image["src"] == "run%207/thumbnails/scan.webp"
    assert image["alt"] == "run 7: mean pattern"
    assert image["loading"] == "lazy"
    assert {link["href"] for link in parsed.all("a")} == {
        "http://127.0.0.1:3000",
        "run%207/",
        "ptychodus_products/run%207.h5",
        "http://127.0.0.1:3000/assets/ptychodus_product?partition=run%207",
        "http://127.0.0.1:3000/runs/ab-cd",
    }
    assert {"R-factor", "0.0213", "resolution: of an older version, in older/"} <= set(parsed.text)


def test_foreign_text_is_only_text_wherever_it_stands() -> None:
    fields = dict.fromkeys(("key", "of", "name", "at", "thumbnail", "alt", "asset", "run_id"), EVIL)
    page = gallery_page(
        [Entry(**fields, figures=((EVIL, EVIL),), links=((EVIL, EVIL),), older=(EVIL,))],  # type: ignore[arg-type]
        "http://127.0.0.1:3000",
    )
    parsed = Parsed(page)
    assert len(parsed.all("script")) == 1
    assert "\u202e" not in page
    assert {tag for tag, _ in parsed.tags} <= TAGS
    assert not [name for _, attrs in parsed.tags for name in attrs if name.startswith("on")]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://a b", 'http://x"><script>', "", "file:///etc"])
def test_what_is_no_web_address_is_no_link_to_dagster(url: str) -> None:
    links = {link["href"] for link in Parsed(gallery_page([entry("a", asset="scan", run_id="r")], url)).all("a")}
    assert links == {"a/"} or url.startswith("http://x")
    assert "<script>" not in gallery_page([entry("a")], url).split("<script>", 1)[0]


def test_its_policy_allows_its_own_style_and_script_and_nothing_from_elsewhere() -> None:
    page = gallery_page([entry("a")])
    policy = next(meta["content"] for meta in Parsed(page).all("meta") if "http-equiv" in meta) or ""
    assert policy.startswith("default-src 'none'; img-src 'self' data:;")
    assert "http" not in policy
    for tag in ("style", "script"):
        source = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert source
        digest = base64.b64encode(hashlib.sha256(source[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_without_its_script_everything_is_there_and_the_filter_is_hidden() -> None:
    parsed = Parsed(gallery_page([entry("a"), entry("b", of="dataset")]))
    (form,) = parsed.all("form")
    assert "hidden" in form
    assert [card["data-of"] for card in parsed.all("li")] == ["scan", "dataset"]
    assert not [card for card in parsed.all("li") if "hidden" in card]


def test_an_empty_gallery_says_so() -> None:
    assert "No asset has written any outputs yet." in gallery_page([])
