"""A migrated run as a manifest of the store: the one place that knows how manifests are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from smalti.canonical import Json, normalise
from smalti.errors import NotFound
from smalti.migration.plan import Facts
from smalti.store import Manifest, Ref, Store


def record(store: Store, run: str, inputs: Mapping[str, Ref], outputs: Mapping[str, Ref], facts: Facts) -> Manifest:
    """Write the manifest of a run; nothing is written when there is an equal one.

    Raises:
        Refused: the store has another manifest of a run of that name.
    """
    known: dict[str, Json] = {
        name: normalise(value, f"{name} of the run {run}")
        for name, value in asdict(facts).items()
        if value not in ("", {}, ())
    }
    return store.add_manifest(run, inputs=inputs, outputs=outputs, made_by=known)


def is_recorded(store: Store, run: str) -> bool:
    """Tell whether the store has a manifest of a run, released ones included."""
    try:
        store.manifest(run)
    except NotFound:
        return False
    return True
