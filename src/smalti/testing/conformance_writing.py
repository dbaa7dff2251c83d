"""Laws of writing: what is hashed is what is stored, and what is there already is only a hint how to store it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from smalti.codecs import CODECS, Weights
from smalti.errors import NotFound, Refused
from smalti.store import Ref, Store
from smalti.store.backends.base import Backend, Batch, Bytes, Draft
from smalti.testing.backend_under_test import BackendUnderTest, Stored
from smalti.testing.damage import DAMAGES
from smalti.testing.model import form

MIB = 1024 * 1024
_SEVERAL = 64
# Values over one array of float64: every way in which content is handed to a store.
_OVER: Mapping[str, Callable[[NDArray[np.float64]], Any]] = {
    "array of short rows": lambda array: array,
    "array of long rows": lambda array: array[: len(array) // 4096 * 4096].reshape(-1, 4096),
    "bytes": lambda array: array.data.cast("B"),
    "weights": lambda array: Weights({str(n): part for n, part in enumerate(np.split(array, _SEVERAL))}),
    "tree": lambda array: {"one": array[: len(array) // 2], "other": array[len(array) // 2 :]},
}


class ChangingLaws(BackendUnderTest):
    """A value that is written to while it is put is stored as one value it had, or refused; never as damage."""

    @pytest.mark.parametrize("earlier", [False, True], ids=["first", "near-duplicate"])
    @pytest.mark.parametrize("nbytes", [40_000, 2 * MIB, 24 * MIB], ids=["small", "medium", "large"])
    @pytest.mark.parametrize("kind", sorted(_OVER))
    def test_a_value_that_is_written_to_as_it_is_stored_is_sound_or_refused(
        self, store: Store, backend: Backend, kind: str, nbytes: int, earlier: bool
    ) -> None:
        count = -(-nbytes // 8 // (_SEVERAL * 4096)) * _SEVERAL * 4096
        array = np.random.default_rng(0).random(count if nbytes > MIB else nbytes // 8 // _SEVERAL * _SEVERAL)
        value = _OVER[kind](array)
        if earlier:
            store.put(value, name="x")
            array[len(array) // 2] = 7
        changing = _WrittenTo(backend, array)
        into = Store(changing, CODECS)
        ref = _put_or_refused(into, value)
        if ref is not None:
            assert store.put(store.get(ref, copy=True)).digest == ref.digest, "it has not the address of what it is"
        assert changing.writes, "nothing was written to meanwhile"
        report = store.fsck(full=True)
        assert report.clean, report.problems

    def test_an_array_that_a_thread_writes_to_during_a_put_of_48_mb_is_sound_or_refused(self, store: Store) -> None:
        array = np.zeros(6_000_000)
        stop = threading.Event()

        def write() -> None:
            rng, number = random.Random(0), 0.0
            while not stop.is_set():
                number += 1
                array[rng.randrange(len(array)) :][:1000] = number

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(3):
                ref = _put_or_refused(store, array)
                if ref is not None:
                    assert store.put(store.get(ref, copy=True)).digest == ref.digest
        finally:
            stop.set()
            writer.join()
        report = store.fsck(full=True)
        assert report.clean, report.problems
        assert form(store.get(store.put(array, name="x"))) == form(array)

    def test_a_copy_that_was_got_is_the_reader_s_own(self, store: Store, stored: Stored) -> None:
        for value in (np.arange(9), np.random.default_rng(0).random((70, 2048)), np.array(2.5), np.zeros((0, 3))):
            ref = store.put(value)
            copy = store.get(ref, copy=True)
            for key in list(stored):
                stored[key] = bytes(len(stored[key]))
            assert form(copy) == form(value)
            store.put(value)


def _put_or_refused(store: Store, value: Any) -> Ref | None:
    """Put a value that is being written to; None where that was refused for that reason."""
    try:
        return store.put(value, name="x")
    except Refused as error:
        if "was written to while it was stored" not in str(error):
            raise
        return None


class HintLaws(BackendUnderTest):
    """What a name stood for before is a hint how to store the next version; it is never in its way."""

    @pytest.mark.parametrize("harm", [*sorted(DAMAGES), "lost", "object lost"])
    @pytest.mark.parametrize("kind", ["array", "near-duplicate", "tree", "weights", "small"])
    def test_a_damaged_or_lost_earlier_version_is_in_nobody_s_way(
        self, store: Store, stored: Stored, kind: str, harm: str
    ) -> None:
        *older, before, after = _versions(kind)
        for value in (*older, before):
            store.put(value, name="x")
        _harm(stored, harm)
        ref = store.put(after, name="x")
        assert form(store.get("x")) == form(store.get(ref)) == form(after)
        _harm(stored, harm)
        for value in (*older, before, after):
            ref = store.put(value, name="x")
            assert form(store.get("x")) == form(store.get(ref)) == form(value), "the same value repairs what is damaged"
        report = store.fsck(full=True)
        assert report.clean, report.problems

    def test_an_earlier_version_that_was_never_there_is_in_nobody_s_way(self, store: Store) -> None:
        ref = store.put(np.arange(50_000), like="sha256:" + "0" * 64)
        assert store.get(ref).size == 50_000

    def test_a_name_of_nothing_is_no_hint(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.put(np.arange(9), like="nothing")


def _versions(kind: str) -> list[Any]:
    rng = np.random.default_rng(0)
    array = rng.random((100, 2048))
    changed = np.concatenate([array[:30], rng.random((2, 2048)), array[30:]])
    again = np.concatenate([changed[:60], rng.random((2, 2048)), changed[60:]])
    versions: dict[str, list[Any]] = {
        "array": [array, changed],
        "near-duplicate": [array, changed, again],
        "tree": [{"x": array, "n": 1, "deep": {"y": b"y"}}, {"x": changed, "n": 2, "deep": {"y": b"y"}}],
        "weights": [Weights({"a": array, "b": np.ones(3)}), Weights({"a": changed, "b": np.ones(3)})],
        "small": [np.arange(9), np.arange(10)],
    }
    return versions[kind]


def _harm(stored: Stored, harm: str) -> None:
    """Damage every file of every object, or take it away; ``lost`` leaves the records."""
    for key in [key for key in stored if key.startswith("data/")]:
        if harm == "object lost" or (harm == "lost" and not key.endswith("metadata.json")):
            del stored[key]
        elif harm != "lost":
            stored[key] = DAMAGES[harm](stored[key], random.Random(key))


class _WrittenTo:
    """A backend where an array is written to before each piece of a draft is written."""

    def __init__(self, backend: Backend, array: NDArray[np.float64]) -> None:
        self._backend = backend
        self._array = array
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        with self._backend.batch() as batch:
            yield _WrittenToBatch(batch, self)

    def write(self) -> None:
        self.writes += 1
        self._array[self.writes % 7 :: 1001] = self.writes


class _WrittenToBatch:
    def __init__(self, batch: Batch, backend: _WrittenTo) -> None:
        self._batch = batch
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def draft(self, address: str | None, form: bytes | None = None) -> Draft:
        return _WrittenToDraft(self._batch.draft(address, form), self._backend)

    def discard(self, draft: Draft) -> None:
        self._batch.discard(_own(draft))

    def publish(
        self, drafts: Mapping[str, Draft], replace: Collection[str] = (), found: Collection[str] = ()
    ) -> set[str]:
        return self._batch.publish({address: _own(draft) for address, draft in drafts.items()}, replace, found)


class _WrittenToDraft:
    def __init__(self, draft: Draft, backend: _WrittenTo) -> None:
        self.draft = draft
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self.draft, name)

    def write(self, name: str, pieces: Iterable[Bytes], nbytes: int) -> int:
        return self.draft.write(name, _Pieces(pieces, self._backend), nbytes)


class _Pieces:
    def __init__(self, pieces: Iterable[Bytes], backend: _WrittenTo) -> None:
        self._pieces = pieces
        self._backend = backend

    def __iter__(self) -> Iterator[Bytes]:
        for piece in self._pieces:
            self._backend.write()
            yield piece


def _own(draft: Draft) -> Draft:
    return draft.draft if isinstance(draft, _WrittenToDraft) else draft
