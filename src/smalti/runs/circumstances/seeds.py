"""The state of the random generators as a run begins."""

from __future__ import annotations

import os
import sys

from blake3 import blake3

from smalti.canonical import Json


def random_states() -> dict[str, Json]:
    """Return what tells the states of the global generators of ``random`` and ``numpy.random`` apart, as they are now.

    A state, not the seed that led to it, which neither keeps: equal digests mean equal numbers from here on. Only
    generators of modules that are imported are looked at; generators of your own are not known. ``PYTHONHASHSEED`` is
    added where it is set.
    """
    found: dict[str, Json] = {}
    if random := sys.modules.get("random"):
        found["random_state"] = _digest(repr(random.getstate()).encode())
    if numpy_random := sys.modules.get("numpy.random"):
        name, keys, *rest = numpy_random.get_state()
        found["numpy_random_state"] = _digest(repr((name, rest)).encode() + keys.tobytes())
    if hash_seed := os.environ.get("PYTHONHASHSEED"):
        found["PYTHONHASHSEED"] = hash_seed
    return found


def _digest(state: bytes) -> str:
    return f"blake3:{blake3(state).hexdigest(length=16)}"
