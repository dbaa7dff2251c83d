"""Laws of a value as ordinary files: each part has the ending of what it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from smalti import Tree, open_store
from smalti.codecs.own_files import write_value


def test_the_parts_of_a_tree_have_the_endings_of_their_kinds(tmp_path: Path) -> None:
    store = open_store("memory:")
    parts = {"array": np.arange(3), "bytes": b"x", "document": store.put([1, (2.0, None)]), "tree": {"deep": b"y"}}
    ref = store.put(Tree(parts, {"a": 1}))
    write_value(store, ref.digest, tmp_path / "tree")
    written = {path.relative_to(tmp_path / "tree").as_posix() for path in (tmp_path / "tree").rglob("*.*")}
    assert written == {"array.npy", "bytes.bin", "document.json", "tree/deep.bin", "attrs.json", "tree/attrs.json"}
    assert json.loads((tmp_path / "tree" / "document.json").read_text()) == [1, [2.0, None]]
