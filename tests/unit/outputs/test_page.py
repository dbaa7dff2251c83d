"""Laws of pages: every foreign text is escaped and visible, empty parts are left out, numbers and sizes are short."""

from __future__ import annotations

from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.outputs import page as html


@given(st.text())
def test_foreign_text_is_text_and_nothing_in_it_is_hidden(given: str) -> None:
    for piece in (html.text(given), html.code(given), html.block(given), html.section(given, "x"), html.link(given)):
        found: list[str] = []

        class Tags(HTMLParser):
            def handle_starttag(self, tag: str, attrs: object, found: list[str] = found) -> None:
                found.append(tag)

        Tags().feed(piece)
        assert set(found) <= {"code", "pre", "section", "h2", "a"}
    assert unescape(html.text(given)).isprintable()


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "https://a b", "https://a\u202eb", "//a"])
def test_what_a_browser_should_not_open_is_no_link(url: str) -> None:
    assert "<a" not in html.link(url)


def test_parts_without_content_are_left_out() -> None:
    nothing = (html.section("a", "", ""), html.fields({"a": ""}), html.table(("a",), [("",)]), html.more(0))
    assert nothing == ("", "", "", "")
    assert html.pictures([]) == ""
    assert html.table(("a", "b"), [("1", ""), ("2", "")]).count("<td>") == 2, "a column without any is left out"


def test_a_number_is_as_long_as_it_is_read() -> None:
    assert html.shown_json(5.8998162606707535e-06) == "5.89982e-06"
    assert html.shown_json({"lr": 1e-3}).count("0.001") == 1
    assert html.short("sha256:" + "ab" * 32).count("ab" * 6 + "…") == 1


def test_lines_stay_lines_where_that_is_asked_for() -> None:
    assert html.text("a\nb") == "a\\nb"
    assert html.text("a\nb", lines=True) == "a\nb"


def test_a_page_is_known_by_its_first_bytes() -> None:
    written = html.page("x", []).encode()
    assert html.is_page(written[:200])
    assert not html.is_page(b"<!DOCTYPE html>\n<html>")
    assert b"default-src 'none'" in written.replace(b"&#x27;", b"'")
