"""A cache of what is slow to read, which keeps what is read again and is not swept empty by what is read once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

_COUNTERS = 1 << 20  # one byte each; keys that fall on the same one are counted together
_MOST_COUNTED = 64
_HALVED = bytes(count // 2 for count in range(256))


class AdaptiveCache:
    """At most so many bytes of results, by key.

    When it is full, a newcomer takes the place of what was used longest ago only if it was asked for more often before.
    Epoch after epoch over more than fits, a cache of the most recent would give nothing; here the part that fits stays,
    and where some keys are asked for more often than others, those are kept. Counts are halved now and then, so that it
    follows when the pattern changes; they take 1 MiB beside. Source of the rule: Einziger
    et al., TinyLFU, ACM ToS 13 (2017).

    Attributes:
        hits, misses: how often a key was there, and was not.
        nbytes: what is held.
    """

    def __init__(self, most_nbytes: int) -> None:
        self.most_nbytes = most_nbytes
        self.nbytes = self.hits = self.misses = 0
        self._held: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._asked = bytearray(_COUNTERS)
        self._loading: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: Hashable, load: Callable[[], Any], nbytes_of: Callable[[Any], int]) -> Any:
        """Return what is held for ``key``, or load it; threads that want the same key wait for one of them to do so."""
        with self._lock:
            asked_before = self._count(key)
            if key in self._held:
                self.hits += 1
                self._held.move_to_end(key)
                return self._held[key][0]
            self.misses += 1
            under_way = self._loading.get(key)
            mine: Future[Any] = Future()
            if under_way is None:
                self._loading[key] = mine
        if under_way is not None:
            return under_way.result()
        try:
            value = load()
        except BaseException as error:
            with self._lock:
                del self._loading[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._loading[key]
            self._admit(key, value, nbytes_of(value), asked_before)
        mine.set_result(value)
        return value

    def _count(self, key: Hashable) -> int:
        at = hash(key) % _COUNTERS
        before = self._asked[at]
        self._asked[at] += 1
        if before + 1 == _MOST_COUNTED:
            self._asked = self._asked.translate(_HALVED)
        return before

    def _admit(self, key: Hashable, value: Any, nbytes: int, asked_before: int) -> None:
        if nbytes > self.most_nbytes:
            return
        leaving, freed = [], self.most_nbytes - self.nbytes
        for other, (_, other_nbytes) in self._held.items():
            if freed >= nbytes:
                break
            if self._asked[hash(other) % _COUNTERS] >= asked_before:
                return
            leaving.append(other)
            freed += other_nbytes
        for other in leaving:
            self.nbytes -= self._held.pop(other)[1]
        self._held[key] = value, nbytes
        self.nbytes += nbytes
