"""A migration: a source is planned, or brought run by run; one that cannot be brought stops no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smalti.digest import PREFIX
from smalti.errors import SmaltiError
from smalti.migration.naming import segment
from smalti.migration.plan import FilePart, NamedValue, Part, Plan, PlannedRun, files_of
from smalti.migration.recognition import open_source
from smalti.migration.recording import record, recorded
from smalti.migration.storing import Storing
from smalti.store import Progress, Ref, Store
from smalti.store.long_work import OnProgress
from smalti.tracking import StatCache


@dataclass(frozen=True, slots=True)
class Brought:
    """A run, or a value with a name, that is in the store now.

    Attributes:
        name: what it is called in the store.
        source: where it lies in the source.
        values: what each value is called -> its address.
        nbytes: size of its files in the source.
        new_bytes: what it added to the store; 0 where all was there.
        remarks: what was brought in another way than one might expect, or not at all.
    """

    name: str
    source: str
    values: Mapping[str, str]
    nbytes: int
    new_bytes: int
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotBrought:
    """What could not be brought: why, as a sentence."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What a migration did."""

    plan: Plan
    brought: tuple[Brought, ...]
    failed: tuple[NotBrought, ...]

    @property
    def new_bytes(self) -> int:
        """What it added to the store."""
        return sum(one.new_bytes for one in self.brought)


def plan_migration(where: str, kind: str | None = None, prefix: str = "", endpoint: str | None = None) -> Plan:
    """Say what a migration would store; the files of runs are listed, and only what describes them is read.

    Raises:
        NotFound, Ambiguous, Refused, Unavailable: the source as a whole cannot be read.
    """
    with open_source(where, kind, endpoint) as opened:
        return opened.plan(prefix)


def migrate(
    store: Store,
    cache: StatCache,
    where: str,
    kind: str | None = None,
    prefix: str = "",
    *,
    endpoint: str | None = None,
    progress: OnProgress | None = None,
) -> MigrationReport:
    """Bring a source into a store; every file is read back and compared. Interrupted, the next migration goes on.

    Args:
        cache: what is remembered of files that were brought, so that they are not read again.
        kind: the system; by default what the files say.
        prefix: what the names of runs and values begin with.
        endpoint: of the S3 server that the source is on.

    Raises:
        NotFound, Ambiguous, Refused, Unavailable: the source as a whole cannot be read.
    """
    with open_source(where, kind, endpoint) as opened:
        plan = opened.plan(prefix)
        steps = _Steps(plan, progress)
        storing = Storing(store, opened.source, cache, steps.file_done)
        brought: list[Brought] = []
        failed = [NotBrought(run.source, run.why) for run in plan.failed]
        everything: tuple[PlannedRun | NamedValue, ...] = (*plan.runs, *plan.values)
        for one in everything:
            try:
                if isinstance(one, PlannedRun):
                    brought.append(_bring_run(store, storing, one, opened.kind))
                else:
                    brought.append(_bring_value(store, storing, one))
            except SmaltiError as error:
                failed.append(NotBrought(one.source, str(error)))
    return MigrationReport(plan, tuple(brought), tuple(failed))


class _Steps:
    """Counts files as they are done."""

    def __init__(self, plan: Plan, progress: OnProgress | None) -> None:
        self._files, self._nbytes = plan.files, plan.nbytes
        self._progress = progress
        self._done = self._done_nbytes = 0

    def file_done(self, nbytes: int) -> None:
        self._done, self._done_nbytes = self._done + 1, self._done_nbytes + nbytes
        if self._progress:
            self._progress(Progress(self._done, self._files, self._done_nbytes, self._nbytes))


def _bring_run(store: Store, storing: Storing, run: PlannedRun, kind: str) -> Brought:
    there = recorded(store, run.run, run.facts)
    if there and there.released_at:
        return Brought(run.run, run.source, {}, 0, 0, (f"it was released in the store at {there.released_at}",))
    before, remarked = storing.new_bytes, len(storing.remarks)
    inputs = {name: storing.put(part) for name, part in run.inputs.items()}
    outputs = {name: storing.put(part) for name, part in run.outputs.items()}
    remarks = [*run.remarks, *storing.remarks[remarked:], *_disagreeing(storing, run, kind)]
    record(store, run.run, inputs, outputs, run.facts)
    values = {**_addresses("inputs", inputs), **_addresses("outputs", outputs)}
    nbytes = _nbytes_of([*run.inputs.values(), *run.outputs.values()])
    return Brought(run.run, run.source, values, nbytes, storing.new_bytes - before, tuple(remarks))


def _bring_value(store: Store, storing: Storing, value: NamedValue) -> Brought:
    before, remarked = storing.new_bytes, len(storing.remarks)
    ref = storing.put(value.part)
    store.put(ref, value.name)
    if value.facts:  # a folder is changed and brought again, a manifest never is: each content has its own
        run = segment(f"{value.name.replace('/', '.')}-{ref.digest.removeprefix(PREFIX)[:8]}")
        record(store, run, {}, {value.source or value.name: ref}, value.facts)
    remarks = (*value.remarks, *storing.remarks[remarked:])
    nbytes = _nbytes_of([value.part])
    return Brought(value.name, value.source, {"": ref.digest}, nbytes, storing.new_bytes - before, remarks)


def _disagreeing(storing: Storing, run: PlannedRun, kind: str) -> list[str]:
    """Compare with the hashes of the source, where it has some: they are hints, and other versions compute others."""
    if not run.hints:
        return []
    from smalti.migration import hints

    compute = hints.mltrack_v1_hashes if kind == "mltrack-v1" else hints.mltrack_v2_hashes
    remarks = []
    for part in (*run.inputs.values(), *run.outputs.values()):
        if isinstance(part, FilePart) and part.path in storing.read and (hint := run.hints.get(part.path)):
            found = compute(storing.get(part))
            if found and hint not in found:
                remarks.append(f"{part.path} has the hash {hint} in its source and {min(found)} by its values")
    return remarks


def _addresses(role: str, refs: Mapping[str, Ref]) -> dict[str, str]:
    return {f"{role}/{name}": ref.digest for name, ref in refs.items()}


def _nbytes_of(parts: list[Part]) -> int:
    return sum(file.nbytes for part in parts for file in files_of(part))
