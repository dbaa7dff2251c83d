"""How much data runs refer to, how much of that is stored, and which is used how often."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from smalti.digest import PREFIX
from smalti.errors import NotFound
from smalti.store import Store


def usage(store: Store) -> dict[str, Any]:
    """Return totals, and per value who uses it.

    - ``total_runs``, ``total_data``: how many runs there are, and how many different values they read or wrote;
    - ``referenced_bytes``: what it would be if each run had a copy of its own of all that it read and wrote;
    - ``unique_bytes``: the same, each value once; ``saved_bytes``: the difference;
    - ``data``: hash -> ``runs``, ``names`` and ``size_bytes`` (None where it was collected), most used first.
    """
    used: dict[str, tuple[set[str], set[str]]] = {}
    runs = 0
    for manifest in store.manifests():
        runs += 1
        for part in (manifest.whole, *manifest.steps):
            for name, address in (*part.inputs.items(), *part.outputs.items()):
                by, names = used.setdefault(address, (set(), set()))
                by.add(manifest.run)
                names.add(name)
    data: dict[str, dict[str, Any]] = {}
    for address, (by, names) in sorted(used.items(), key=lambda one: (-len(one[1][0]), one[0])):
        size = None
        with suppress(NotFound):
            size = store.record(address).nbytes
        data[address.removeprefix(PREFIX)] = {"runs": sorted(by), "names": sorted(names), "size_bytes": size}
    referenced = sum((one["size_bytes"] or 0) * len(one["runs"]) for one in data.values())
    unique = sum(one["size_bytes"] or 0 for one in data.values())
    return {
        "total_runs": runs,
        "total_data": len(data),
        "referenced_bytes": referenced,
        "unique_bytes": unique,
        "saved_bytes": referenced - unique,
        "data": data,
    }
