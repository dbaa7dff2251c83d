"""Laws of refreshing: what has a source, what was fetched before, and that a source may be asked conditionally."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from smalti import Store, open_store
from smalti.datasets import fetchers
from smalti.datasets.card import DatasetCard
from smalti.datasets.refreshing import fetched_before, refresh, refreshable
from smalti.errors import NotFound, Refused


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    return open_store(tmp_path / "store")


@pytest.fixture
def asked() -> Iterator[list[object]]:
    """Two registered sources: one is told to refresh, one cannot be; what they were told."""
    told: list[object] = []

    def conditional(refresh: bool = False) -> pa.Table:
        told.append(refresh)
        return pa.table({"x": [len(told)]})

    def plain() -> pa.Table:
        told.append("called")
        return pa.table({"x": [0]})

    for name, function in (("conditional", conditional), ("plain", plain)):
        card = DatasetCard(name=name, source="https://example.org", version="1", licence="CC0-1.0")
        fetchers._registered[name] = fetchers.Fetcher(name, function, card)
    yield told
    for name in ("conditional", "plain"):
        del fetchers._registered[name]


def test_what_is_computed_or_read_from_a_file_of_yours_has_no_source_to_ask(store: Store) -> None:
    names = set(refreshable())
    assert {"iris", "wikitext-2"} <= names
    assert not {"siemens-star", "simulated-scan"} & names
    with pytest.raises(Refused, match="has no source to ask again; fetch it: smalti datasets fetch"):
        refresh(store, "simulated-scan")
    with pytest.raises(NotFound):
        refresh(store, "no such thing")


def test_what_has_no_card_is_left_out(asked: list[object]) -> None:
    fetchers._registered["plain"] = fetchers.Fetcher("plain", lambda: None, None)
    assert "plain" not in refreshable()
    assert "conditional" in refreshable()


def test_a_source_is_told_to_refresh_where_it_can_be_and_equal_content_is_no_change(
    store: Store, asked: list[object]
) -> None:
    assert fetched_before(store, {"plain", "conditional"}) == set()
    first, again = refresh(store, "plain"), refresh(store, "plain")
    assert (first.changed, again.changed) == (True, False)
    assert first.ref.digest == again.ref.digest
    assert len(store.versions("dataset/plain")) == 1
    assert refresh(store, "conditional").changed
    assert refresh(store, "conditional").changed
    assert asked == ["called", "called", True, True]
    assert fetched_before(store, {"plain", "conditional", "iris"}) == {"plain", "conditional"}
