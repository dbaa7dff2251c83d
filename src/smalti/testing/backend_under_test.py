"""What a suite is given: a backend under test, a way past it, and threads that all begin at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from smalti.codecs import CODECS, Weights
from smalti.store import Store
from smalti.store.backends.base import Backend
from smalti.store.documents import Documents
from smalti.store.objects.index import MemoryIndex
from smalti.store.objects.object_store import ObjectStore

Stored = MutableMapping[str, bytes]

TICK_S = 0.02  # longer than a file system takes for two moments to be the same

# One store serves all examples of a law, since what is in it already must not matter, and all subclasses.
LAW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


class BackendUnderTest:
    """The fixtures; override the first two, and ``store`` where yours remembers more than one in memory does.

    Attributes:
        tick_s: longer than it takes for two leases to differ; 1 s and more where a backend counts whole seconds.
    """

    tick_s = TICK_S

    @pytest.fixture
    def backend(self) -> Backend:
        """An empty backend."""
        raise NotImplementedError("override the fixture 'backend' with the backend you test")

    @pytest.fixture
    def stored(self) -> Stored:
        """What the backend keeps but for ``store.json``, key -> bytes, read and written past it."""
        raise NotImplementedError("override the fixture 'stored' with a way past the backend you test")

    @pytest.fixture
    def store(self, backend: Backend) -> Store:
        """An empty store over the backend under test."""
        store = Store(backend, CODECS)
        store.init()
        return store

    @pytest.fixture
    def objects(self, store: Store, backend: Backend) -> ObjectStore:
        """The same store's objects."""
        return ObjectStore(backend, MemoryIndex())

    @pytest.fixture
    def documents(self, store: Store, backend: Backend) -> Documents:
        """The same store's documents."""
        return Documents(backend)

    @pytest.fixture
    def full(self, store: Store) -> Store:
        """A store with every kind of object, small and large, few leaves and many, and a name with two versions."""
        rng = np.random.default_rng(0)
        store.put(b"first", name="everything/here")
        store.put(
            {
                "small": np.arange(9),
                "large": rng.random((70, 2048)),
                "raw": b"raw bytes",
                "more raw": rng.bytes(9000),
                "weights": Weights({"w": rng.random((3, 4), np.float32), "b": np.arange(5)}),
                "more weights": Weights({"w": rng.random((300, 4), np.float32), "b": np.arange(5)}),
                "list": [1, (2.0, "two")],
                "n": 1,
            },
            name="everything/here",
        )
        return store


def owner_of(key: str) -> str:
    """Return what names the owner of a stored key in a problem's place: an object's digits, or the key itself."""
    return key.split("/")[2] if key.startswith("data/") else key


def nbytes_of(stored: Stored) -> int:
    """Return the size of all that is stored."""
    return sum(len(stored[key]) for key in stored)


def damage_where(stored: Stored, content: bytes) -> None:
    """Flip a bit in the middle of ``content``, wherever it lies."""
    for key in stored:
        position = stored[key].find(content)
        if position >= 0:
            changed = bytearray(stored[key])
            changed[position + len(content) // 2] ^= 1
            stored[key] = bytes(changed)
            return
    raise AssertionError("the content is not stored as it is")


def at_once(some: Iterable[Callable[[], Any]]) -> list[Any]:
    """Do all at once in threads; return their results, or raise the first error."""
    acts = list(some)
    barrier = threading.Barrier(len(acts))
    results: list[Any] = [None] * len(acts)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = acts[number]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
