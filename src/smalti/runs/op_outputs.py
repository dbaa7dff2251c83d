"""Outputs of ops, kept under ``runs/<run>/...`` for the ops after them: which may go, and letting them go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from smalti.errors import NotFound

if TYPE_CHECKING:
    from smalti.store import Store

FOLDER = "runs/"
UNKNOWN_FOR = timedelta(days=1)  # so old is what belongs to no run that is known, before it goes


@dataclass(frozen=True, slots=True)
class OpOutputs:
    """The outputs of the ops of one run.

    Attributes:
        names: what they are called in the store.
        written_at: when the last one was written.
        nbytes: their size; what other names keep too is not freed with them.
    """

    run: str
    names: tuple[str, ...]
    written_at: datetime
    nbytes: int


@dataclass(frozen=True, slots=True)
class RunState:
    """What is known of a run.

    Attributes:
        root: the first run of those that were executed again from one another; itself, where it is none of those.
        began: orders them.
    """

    root: str
    status: Literal["running", "finished", "failed"]
    began: float


def op_outputs(store: Store) -> list[OpOutputs]:
    """Return what the ops of each run left in a store, oldest first."""
    found = defaultdict(list)
    for version in store.names() if store.exists() else ():
        if version.name.startswith(FOLDER) and version.name.count("/") >= 3:  # runs/<run>/<step>/<output>
            found[version.name.split("/")[1]].append(version)
    left = [
        OpOutputs(
            run,
            tuple(version.name for version in versions),
            max(datetime.fromisoformat(version.at) for version in versions),
            sum(_nbytes(store, address) for address in {version.address for version in versions}),
        )
        for run, versions in found.items()
    ]
    return sorted(left, key=lambda outputs: (outputs.written_at, outputs.run))


def outdated(outputs: Iterable[OpOutputs], older_than: timedelta, now: datetime) -> list[OpOutputs]:
    """Return those that were written longer ago than that, whatever became of their runs."""
    return [of for of in outputs if now - of.written_at > older_than]


def not_needed(
    outputs: Iterable[OpOutputs], runs: Mapping[str, RunState], keep_failed: timedelta, now: datetime
) -> list[OpOutputs]:
    """Return those that no run needs any more.

    Runs that were executed again from one another need each other's outputs. They are done when the last of them
    finished; when it failed it may be executed again from there, so theirs stay for a while. Outputs of a run that was
    deleted go a day after they were written.

    Args:
        runs: all that are known.
        keep_failed: how long those of runs that failed stay.
    """
    of_root: dict[str, list[RunState]] = defaultdict(list)
    for state in runs.values():
        of_root[state.root].append(state)
    written: dict[str, datetime] = {}
    left = list(outputs)
    for of in left:
        if of.run in runs:
            root = runs[of.run].root
            written[root] = max(of.written_at, written.get(root, of.written_at))

    def may_go(of: OpOutputs) -> bool:
        if of.run not in runs:
            return now - of.written_at > UNKNOWN_FOR
        root = runs[of.run].root
        together = of_root[root]
        if any(state.status == "running" for state in together):
            return False
        last = max(together, key=lambda state: state.began)
        return last.status == "finished" or now - written[root] > keep_failed

    return [of for of in left if may_go(of)]


def release(store: Store, outputs: Iterable[OpOutputs]) -> None:
    """Take the names of outputs away; `smalti gc` collects what nothing else needs."""
    for of in outputs:
        for name in of.names:
            store.forget(name)


def _nbytes(store: Store, address: str) -> int:
    try:
        return store.record(address).nbytes
    except NotFound:
        return 0
