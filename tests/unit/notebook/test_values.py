"""Every value that a store gives out shows itself in a notebook: quickly, escaped, bounded, and without raising."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from smalti import BFloat16, Checkpoint, RawFile, Reconstruction, Scan, Store, Tree, Weights, open_store
from smalti.codecs import Folder, ScanMetadata
from smalti.notebook import entry_of, shown

N = 12
PLACES = np.arange(N, dtype=float)
VALUES = {
    "scan": Scan(
        np.ones((N, 8, 8), np.float32), PLACES, PLACES, None, None, np.arange(N), ScanMetadata(name="<script>x")
    ),
    "reconstruction": Reconstruction(
        np.ones((9, 9), np.complex64), np.ones((1, 8, 8), np.complex64), PLACES, PLACES, 0.0, 0.0, np.ones(2), {}, {}
    ),
    "checkpoint": Checkpoint({f"w{i}": np.ones((4, 4)) for i in range(80)}, {}, {"a": [1, {"b": 2}]}, {"epoch": 1}),
    "weights": Weights({"w": np.ones((3, 3)), "b": BFloat16(np.zeros(4, np.uint16))}),
    "no weights": Weights({}),
    "raw": RawFile("<script>.npz", b"\x00\xff" * 10, {"x": None}),
    "folder": Folder({"<script>": b"text", "sub": Folder({"x": b""})}),
    "tree": Tree({"<script>": np.arange(3), "t": pd.DataFrame({"<script>": [1]})}, {"a": "x" * 10**5}),
    "nothing": Tree({}, {}),
    "array": np.zeros((5, 6)),
    "bfloat16": BFloat16(np.zeros((5, 6), np.uint16)),
    "table": pa.table({"<script>": [1, 2]}),
    "frame": pd.DataFrame({"x": pd.to_datetime(["2020"]).tz_localize("UTC")}),
    "bytes": b"",
    "list": [1, None, [2, "<script>"], {"a": 1}],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_what_a_store_gives_out_shows_itself(store: Store, value: Any) -> None:
    ref = store.put(value)
    for given in (store.get(ref), store.open(ref), ref):
        own = getattr(given, "_repr_html_", None)
        page = shown(given) if own is None or isinstance(given, pd.DataFrame) else own()
        assert page.startswith('<div class="smalti-entry">')
        assert "<script" not in page
        assert "cannot be shown" not in page
        assert len(page) < 200_000


@pytest.mark.parametrize(
    "name", ["scan", "reconstruction", "checkpoint", "weights", "raw", "folder", "tree", "bfloat16"]
)
def test_classes_of_ours_have_their_own_html(name: str) -> None:
    assert "_repr_html_" in dir(VALUES[name])


def test_lazy_values_have_their_own_html(store: Store) -> None:
    for value in (np.zeros((5, 6)), pa.table({"x": [1]})):
        assert "smalti-entry" in store.open(store.put(value))._repr_html_()


def test_a_store_shows_its_names_and_their_sizes(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    assert "0 names" in store._repr_html_(), "a store that is not there yet has none"
    for number in range(60):
        store.put({"a": np.arange(number)}, f"set/{number:03}")
    page = store._repr_html_()
    assert "60 names" in page
    assert "set/049" in page
    assert "set/050" not in page
    assert "and 10 more" in page


def test_a_store_that_is_damaged_shows_what_is_not(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    store.put(b"1", "good")
    store.put(b"2", "bad")
    (document,) = (tmp_path / "store").rglob("bad/@*.json")
    document.chmod(0o644)
    document.write_text("{}")
    page = store._repr_html_()
    assert "bytes, 1 B, version 1" in page
    assert "cannot be read" in page


def test_a_value_that_lies_about_itself_is_shown_as_what_it_is() -> None:
    class Odd:
        shape = (3,)
        dtype = "none"
        nbytes = -1

    class Raises:
        @property
        def shape(self) -> Any:
            raise RuntimeError("<script>no")

    assert "smalti-entry" in shown(Odd())
    page = shown(Raises())
    assert "cannot be shown: RuntimeError" in page
    assert "<script" not in page


def test_a_value_that_holds_itself_ends() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    assert "and 1 more" in shown(endless)


def test_of_many_parts_the_first_are_shown_and_the_rest_counted() -> None:
    entry = entry_of("many", {str(i): i for i in range(1000)})
    assert (len(entry.children), entry.more) == (50, 950)
