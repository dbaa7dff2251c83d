"""A migrated run as a manifest of the store: the one place that knows how manifests are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smalti.digest import PREFIX
from smalti.errors import NotFound, Refused
from smalti.migration.naming import segment
from smalti.migration.plan import Facts
from smalti.store import Manifest, Ref, Store

_ORIGIN = "migrated_from"


def recorded(store: Store, run: str, facts: Facts) -> Manifest | None:
    """Return the manifest that an earlier migration of the same run wrote; None where there is none.

    Raises:
        Refused: the store has a run of that name that came from somewhere else.
    """
    try:
        there = store.manifest(run)
    except NotFound:
        return None
    if not isinstance(there.notes, Mapping) or there.notes.get(_ORIGIN) != facts.notes.get(_ORIGIN):
        raise Refused(
            f"the store has a run {run!r} that came from somewhere else; give what is migrated other names by --prefix."
        )
    return there


def record(store: Store, run: str, inputs: Mapping[str, Ref], outputs: Mapping[str, Ref], facts: Facts) -> Manifest:
    """Write the manifest of a run, or say more in the one that an earlier migration wrote; an equal one stays.

    A value that has changed in the source since then is added under its name and digits of its address.

    Raises:
        Refused: the store has another run of that name.
    """
    there = recorded(store, run, facts)
    if there is None:
        return store.add_manifest(run, inputs=inputs, outputs=outputs, **manifest_fields(facts))
    said = manifest_fields(facts)
    if isinstance(there.notes, Mapping):
        said["notes"] = {**there.notes, **said["notes"]}
    changed = {"inputs": _beside(there.inputs, inputs), "outputs": _beside(there.outputs, outputs)}
    return store.update_manifest(run, **changed, **said)


def _beside(there: Mapping[str, str], refs: Mapping[str, Ref]) -> dict[str, Ref]:
    """Return values under names that no other value has in a manifest."""

    def free(name: str, ref: Ref) -> str:
        return name if there.get(name, ref.digest) == ref.digest else f"{name}-{ref.digest.removeprefix(PREFIX)[:8]}"

    return {free(name, ref): ref for name, ref in refs.items()}


def manifest_fields(facts: Facts) -> dict[str, Any]:
    """Return the fields of a manifest; when it was made is written down by the store and stays in the notes here."""
    notes: dict[str, Any] = dict(facts.notes)
    if facts.created_at:
        notes["created_at"] = facts.created_at
    return {
        "run_type": facts.run_type,
        "project": facts.project,
        "status": facts.status,
        "parent": facts.parent,
        "tags": dict(facts.tags),
        "parameters": dict(facts.parameters),
        "metrics": dict(facts.metrics),
        "code": dict(facts.code),
        "links": dict(facts.links),
        "started_at": facts.started_at or facts.created_at,
        "ended_at": facts.ended_at,
        "views": _views(facts),
        "notes": notes,
    }


def _views(facts: Facts) -> tuple[str, ...]:
    """Return where below ``runs/`` a run is shown."""
    at = facts.started_at or facts.created_at
    places = {
        "by_project": f"by_project/{segment(facts.project or 'default')}",
        "by_date": f"by_date/{at[:10]}" if at else "",
        "by_type": f"by_type/{facts.run_type}",
        "by_model": f"by_model/{segment(facts.model or 'unknown')}",
        "flat": "all",
    }
    return tuple(places[mode] for mode in facts.views if places[mode])
