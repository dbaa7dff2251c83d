"""A migrated run as a manifest of the store: the one place that knows how manifests are written."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from smalti.digest import PREFIX
from smalti.errors import NotFound, Refused
from smalti.migration.plan import Facts
from smalti.runs import storage_modes
from smalti.runs.run_types import run_type_of
from smalti.store import Manifest, Ref, Store
from smalti.store.manifests import now, past

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

    It was recorded when its source says, so that it stands among other runs where it belongs; where the source does not
    say, or names a time that is still to come, it is recorded now. A value that has changed in the source since an
    earlier migration is added under its name and digits of its address.

    Raises:
        Refused: the store has another run of that name.
    """
    there = recorded(store, run, facts)
    if there is None:
        created_at = _recorded_at(facts)
        said = _fields(facts, created_at)
        return store.add_manifest(run, created_at=created_at, inputs=inputs, outputs=outputs, **said)
    said = _fields(facts, there.created_at)
    if isinstance(there.notes, Mapping):
        said["notes"] = {**there.notes, **said["notes"]}
    changed = {"inputs": _beside(there.inputs, inputs), "outputs": _beside(there.outputs, outputs)}
    return store.update_manifest(run, **changed, **said)


def _recorded_at(facts: Facts) -> str:
    """Return when a run was recorded by its source, else now."""
    with suppress(Refused):
        return past(facts.created_at or facts.started_at)
    return now()


def _beside(there: Mapping[str, str], refs: Mapping[str, Ref]) -> dict[str, Ref]:
    """Return values under names that no other value has in a manifest."""

    def free(name: str, ref: Ref) -> str:
        return name if there.get(name, ref.digest) == ref.digest else f"{name}-{ref.digest.removeprefix(PREFIX)[:8]}"

    return {free(name, ref): ref for name, ref in refs.items()}


def _fields(facts: Facts, created_at: str) -> dict[str, Any]:
    """Return the fields of the manifest of a run that was recorded at a time."""
    shown_by = storage_modes.Facts(
        project=facts.project,
        model=facts.model,
        run_type=run_type_of(facts.run_type),
        date=datetime.fromisoformat(created_at),
    )
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
        "started_at": facts.started_at,
        "ended_at": facts.ended_at,
        "views": storage_modes.views_of(facts.views, shown_by),
        "notes": dict(facts.notes),
    }
