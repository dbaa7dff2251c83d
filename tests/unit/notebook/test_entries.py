"""Entries as HTML: whole, escaped, folded, and bounded however large or hostile the value is."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from smalti.notebook import Entry, html, readable

VOID = {"img"}


class Page(HTMLParser):
    """Collects the text and the tags of a page, and finds tags that are not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.unfolded = 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.unfolded += tag == "details" and ("open", None) in attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


names = st.text(max_size=20) | st.sampled_from(["<script>alert(1)</script>", "'\"&", "\u202e", "a\x00b", "\ud800"])
entries = st.recursive(
    st.builds(Entry, names, names, st.none() | st.just(b"\x89PNG")),
    lambda inner: st.builds(Entry, names, names, st.none(), st.lists(inner, max_size=4).map(tuple), st.integers(0, 5)),
    max_leaves=20,
)


@given(entries)
def test_whatever_an_entry_is_called_the_page_is_whole_and_only_ours(entry: Entry) -> None:
    page = Page(html(entry))
    assert not page.open, "every tag is closed"
    assert set(page.tags) <= {"div", "style", "details", "summary", "span", "img"}
    html(entry).encode()


def test_a_name_is_shown_as_it_is_written() -> None:
    assert "<b>x</b> & y" in Page(html(Entry("<b>x</b> & y", ""))).text


def test_nothing_in_a_name_is_hidden_or_turns_the_line_around() -> None:
    text = Page(html(Entry("a\u202eb\x1b[31m", ""))).text
    assert "\\u202e" in text
    assert "\x1b" not in text


def test_what_is_not_shown_is_counted() -> None:
    assert "and 7 more" in Page(html(Entry("a", "", None, (Entry("b", ""),), 7))).text


def test_a_small_tree_is_unfolded_and_a_large_one_only_at_its_top() -> None:
    inner = Entry("b", "", None, (Entry("c", ""),))
    assert Page(html(Entry("a", "", None, (inner,)))).unfolded == 2
    assert Page(html(Entry("a", "", None, (inner,) * 40))).unfolded == 1


def test_a_very_deep_tree_is_cut_not_an_error() -> None:
    entry = Entry("leaf", "")
    for _ in range(5000):
        entry = Entry("x", "", None, (entry,))
    assert "and 1 more" in Page(html(entry)).text


def test_a_very_long_name_is_cut() -> None:
    assert len(html(Entry("x" * 10**6, "y" * 10**6))) < 5000


def test_no_other_address_is_asked_for_anything() -> None:
    page = html(Entry("a", "b", b"\x89PNG"))
    assert "http" not in page
    assert 'src="data:image/png;base64,' in page


def test_sizes_are_in_the_unit_that_suits_them() -> None:
    assert [readable(n) for n in (0, 999, 1000, 999_499, 999_500, 5 * 10**15)] == [
        "0 B",
        "999 B",
        "1 kB",
        "999 kB",
        "1 MB",
        "5 PB",
    ]
