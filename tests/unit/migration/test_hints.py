"""Laws of MLtrack's own hashes: they are what its code computes, whatever the byte order and however large."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from smalti.migration.hints import mltrack_v1_hashes, mltrack_v2_hashes


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("shape", [(), (0,), (5,), (3, 400_000)])
def test_of_an_array_the_bytes_are_hashed_in_either_order(order: str, shape: tuple[int, ...]) -> None:
    array = np.asarray(np.random.default_rng(1).random(shape)).astype(f"{order}f8")
    kept = array.astype("<f8")
    assert hashlib.md5(array.tobytes()).hexdigest()[:8] in mltrack_v1_hashes(kept)
    assert hashlib.sha256(array.tobytes()).hexdigest() in mltrack_v2_hashes(kept)


def test_of_tables_and_documents_what_pandas_and_str_say_is_hashed() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    hashed = pd.util.hash_pandas_object(frame).to_numpy().tobytes()
    assert mltrack_v1_hashes(frame) == {hashlib.md5(hashed).hexdigest()[:8]}
    assert mltrack_v2_hashes(frame) == {hashlib.sha256(hashed).hexdigest()}
    assert mltrack_v1_hashes({"b": 1, "a": 2}) == {hashlib.md5(b"{'b': 1, 'a': 2}").hexdigest()[:8]}
    assert mltrack_v2_hashes({"b": 1, "a": 2}) == {hashlib.sha256(b'{"a": 2, "b": 1}').hexdigest()}
    assert mltrack_v1_hashes(b"bytes") == set()
