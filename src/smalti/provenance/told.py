"""What a manifest says of code, environment, checks and files that arrived, in the forms that runs write it in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from smalti.digest import is_address
from smalti.errors import SmaltiError
from smalti.provenance.facts import Facts

if TYPE_CHECKING:
    from smalti.store import Manifest, Store

DIFF, SOURCE, DETAILS, PACKAGES = "diff", "source", "details", "packages"
CHECKS, FILES = "checks", "files"  # among the notes
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_DETAILS_NBYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Check:
    """What a check said of a value; foreign text."""

    name: str
    of: str
    passed: bool
    severity: str
    says: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file that came from outside; what it does not state is ""."""

    file: str
    place: str
    accepted: bool
    contract: str
    licence: str
    source: str
    reason: str


def called(run: Manifest) -> str:
    """Return what a person calls a run: of one that only has a number, what it belongs to and the first digits.

    A run of Dagster is ``reconstruct 53cf63b9``.
    """
    return f"{run.project or 'run'} {run.run[:8]}" if _UUID.fullmatch(run.run) else run.run


def names_in(runs: Iterable[Manifest]) -> dict[str, str]:
    """Return what each value was called where it was written, else where it was read; foreign text."""
    parts = [part for run in runs for part in (run.whole, *run.steps)]
    found: dict[str, str] = {}
    for used in (*(part.outputs for part in parts), *(part.inputs for part in parts)):
        for name, address in used.items():
            found.setdefault(address, name)
    return found


def of_code(run: Manifest, name: str) -> str:
    """Return a text that is said of the code: ``commit``, ``repository``, ``diff``; "" where nothing is."""
    said = run.code.get(name)
    return said if isinstance(said, str) else ""


def environments_of(store: Store, runs: Iterable[Manifest]) -> dict[str, dict[str, Any]]:
    """Return what is said of the environment of each run, with what is stored of it in the place of its address.

    Where that cannot be read any more, the address stays. What many runs share is read once.
    """
    read = cache(lambda address: _details(store, address))
    found = {}
    for run in runs:
        said = dict(run.environment)
        details = said.get(DETAILS)
        if isinstance(details, str) and is_address(details) and (stored := read(details)):
            del said[DETAILS]
            said = {**stored, **said}
        found[run.run] = said
    return found


def _details(store: Store, address: str) -> Mapping[str, Any]:
    try:
        stored = store.get(address) if store.record(address).nbytes <= _MOST_DETAILS_NBYTES else None
    except SmaltiError:
        return {}
    return stored if isinstance(stored, Mapping) else {}


def packages_in(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return name -> version of the packages of an environment."""
    said = environment.get(PACKAGES)
    return {str(name): str(version) for name, version in said.items()} if isinstance(said, Mapping) else {}


def checks_of(run: Manifest) -> list[Check]:
    """Return what the checks said of the values of a run."""
    return [
        Check(
            name=str(one.get("check", "")),
            of=str(one.get("asset", "")),
            passed=one.get("passed") is True,
            severity=str(one.get("severity", "")),
            says=str(one.get("description", "")),
        )
        for one in _listed(run, CHECKS)
    ]


def arrived_in(run: Manifest) -> list[Arrived]:
    """Return the files that came from outside in a run, those that were rejected, too."""
    return [_arrived(one) for one in _listed(run, FILES)]


def with_arrival(facts: Facts, runs: list[Manifest]) -> Facts:
    """Return what is known of a value with what the runs say in which it arrived, where it does not say so itself."""
    for run in runs:
        for one in _listed(run, FILES):
            names = {name for name, address in run.outputs.items() if address == facts.address}
            if one.get("accepted") is True and any(name.split("/", 1)[-1] == one.get("key") for name in names):
                said = _arrived(one)
                return replace(
                    facts,
                    filename=facts.filename or said.file,
                    licence=facts.licence or said.licence,
                    source=facts.source or said.source,
                    contract=facts.contract or said.contract,
                )
    return facts


def _listed(run: Manifest, name: str) -> list[Mapping[str, Any]]:
    said = run.notes.get(name) if isinstance(run.notes, Mapping) else None
    return [one for one in said if isinstance(one, Mapping)] if isinstance(said, list) else []


def _arrived(said: Mapping[str, Any]) -> Arrived:
    file, place, contract, licence, source, reason = (
        str(said.get(name) or "") for name in ("file", "from", "contract", "licence", "source", "reason")
    )
    return Arrived(file, place, said.get("accepted") is True, contract, licence, source, reason)
