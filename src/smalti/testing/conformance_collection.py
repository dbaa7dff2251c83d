"""Laws of collections: what nothing needs goes, twice looked at; what is needed stays, whatever happens meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from smalti.codecs import CODECS
from smalti.errors import NotFound
from smalti.store import Store
from smalti.store.backends.base import Backend
from smalti.testing.backend_under_test import TICK_S, BackendUnderTest, Stored
from smalti.testing.model import form


class CollectionLaws(BackendUnderTest):
    """What nothing needs goes, twice looked at; what is put, named or pinned while that happens stays."""

    def test_what_a_name_or_a_pin_leads_to_stays_and_the_rest_goes(self, store: Store) -> None:
        store.put({"x": np.arange(1000), "deep": {"y": b"y"}}, name="named")
        pinned = store.put({"z": np.arange(5)})
        store.pin(pinned)
        lost = store.put({"x": np.arange(1000), "w": b"w"})
        for _ in range(2):
            store.gc(dry_run=False, grace_seconds=0)
            time.sleep(TICK_S)
        assert store.get("named")["x"].size == 1000
        assert store.get(pinned)["z"].size == 5
        with pytest.raises(NotFound):
            store.get(lost)
        store.forget("named")
        store.unpin(pinned)
        for _ in range(2):
            store.gc(dry_run=False, grace_seconds=0)
            time.sleep(TICK_S)
        assert store.fsck(full=True).objects == 0

    def test_a_dry_run_changes_nothing(self, store: Store, stored: Stored) -> None:
        store.put(np.arange(1000))
        before = {key: stored[key] for key in stored}
        for _ in range(3):
            assert [item.state for item in store.gc(grace_seconds=0).unneeded] == ["condemned"]
            time.sleep(TICK_S)
        assert {key: stored[key] for key in stored} == before

    @pytest.mark.parametrize("moment", ["listed", "looked at", "removed", "half removed"])
    @pytest.mark.parametrize(
        "how", ["put", "named", "pinned", "in a manifest", "within a tree", "tree named", "near-duplicate", "again"]
    )
    def test_what_becomes_needed_while_a_collection_is_at_work_stays(
        self, store: Store, backend: Backend, how: str, moment: str
    ) -> None:
        array = np.random.default_rng(0).random((100, 2048))
        changed = np.concatenate([array, np.ones((1, 2048))])
        nested = {"x": {"y": array}}
        ref, tree = store.put(array), store.put(nested)
        if how == "again":
            store.put(changed)
        store.gc(dry_run=False, grace_seconds=0)
        time.sleep(TICK_S)
        acts: dict[str, Callable[[], Any]] = {
            "put": lambda: store.put(array, name="kept"),
            "named": lambda: store.put(ref, name="kept"),
            "pinned": lambda: store.pin(ref),
            "in a manifest": lambda: store.add_manifest("run", outputs={"x": ref}),
            "within a tree": lambda: store.put({"x": ref}, name="kept"),
            "tree named": lambda: store.put(tree if moment != "half removed" else nested, name="kept"),
            "near-duplicate": lambda: store.put(changed, name="kept"),
            "again": lambda: store.put(changed, name="kept"),
        }
        interrupted = _Interrupted(backend, moment, acts[how])
        Store(interrupted, CODECS).gc(dry_run=False, grace_seconds=0)
        assert interrupted.acted, "the collection never came to this moment"
        assert store.fsck(full=True).clean
        kept = {"within a tree": {"x": array}, "tree named": nested, "near-duplicate": changed, "again": changed}
        assert form(store.get(ref if how in ("pinned", "in a manifest") else "kept")) == form(kept.get(how, array))


class _Interrupted:
    """A backend where something else happens once, at one moment of a collection.

    That is when the objects were listed, when it looks how old one is, when it is about to remove the first, or when
    it has removed the first and not yet what that needed.
    """

    def __init__(self, backend: Backend, moment: str, act: Callable[[], Any]) -> None:
        self._backend = backend
        self._moment = moment
        self._act = act
        self.acted = False

    def _at(self, moment: str) -> None:
        if self._moment == moment and not self.acted:
            self.acted = True
            self._act()

    def addresses(self, hex_prefix: str = "") -> Iterator[str]:
        yield from list(self._backend.addresses(hex_prefix))
        self._at("listed")

    def lease(self, address: str, *, renew: bool = True) -> float:
        self._at("looked at")
        return self._backend.lease(address, renew=renew)

    def remove(self, leased: Mapping[str, float]) -> set[str]:
        self._at("removed")
        gone = self._backend.remove(leased)
        self._at("half removed")
        return gone

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)
