"""Verifying a near-duplicate looks at each object that it is made of once, however they are made of one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from smalti import Store
from smalti.codecs import CODECS
from smalti.store.backends.base import Entry
from smalti.store.backends.memory import MemoryBackend
from smalti.store.objects.index import MemoryIndex
from smalti.store.objects.object_store import ObjectStore


class CountedBackend(MemoryBackend):
    """A backend of which it is known how often each object was looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: Counter[str] = Counter()

    def list(self, prefix: str) -> Iterator[Entry]:
        self.looks[prefix] += 1
        return super().list(prefix)


def test_each_object_is_looked_at_once() -> None:
    backend, index = CountedBackend(), MemoryIndex()
    store = Store(backend, CODECS, index)
    rows = np.random.default_rng(0).random((64, 2048))
    for number in range(12):
        rows = rows.copy()
        rows[5 * number : 5 * number + 2] = number
        last = store.put(rows, name="rows")
    objects = ObjectStore(backend, index)
    recipe = objects.recipe(objects.record(last.digest))
    assert recipe is not None
    assert len(recipe.sources) > 3, "it is made of several others"
    backend.looks.clear()
    assert objects.intact(last.digest)
    assert len(backend.looks) > 3
    assert set(backend.looks.values()) == {1}
