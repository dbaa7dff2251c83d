"""Judging what arrives: batches in limited child processes, a file that kills its reader alone, rejected ones moved."""

from __future__ import annotations

import dataclasses
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from smalti import open_store
from smalti.compute import ChildLimits, ChildStopped, run_child
from smalti.contracts.violation import shown
from smalti.errors import ContractBroken, NotFound, Refused, Unavailable
from smalti.ingest.admit import Verdict, rejection, stored_name
from smalti.ingest.ledger import Arrival, Ledger, Waiting
from smalti.ingest.quarantine import Quarantine
from smalti.ingest.sandbox import in_sandbox, limits_for
from smalti.ingest.source import Source
from smalti.store.commit import alone, machine_errors, make_folder, staged_folder

_BATCH_FILES = 250
_BATCH_NBYTES = 64 << 20  # a larger file has a child of its own
_FILES_PER_CPU_S = 10
_FETCHED, _DAY_S = ".fetched", 24 * 3600
_ADMIT = "smalti.ingest.admit:admit"

Group = list[tuple[Waiting, Path]]
Run = Callable[..., dict[str, Any]]
OnVerdict = Callable[[Waiting, Verdict], None]
OnPostponed = Callable[[Waiting, str], None]


def next_batch(waiting: Sequence[Waiting]) -> list[Waiting]:
    """Return the first files that are judged together: many small ones, or one that is not."""
    batch: list[Waiting] = []
    nbytes = 0
    for file in waiting[:_BATCH_FILES]:
        nbytes += file.nbytes
        if batch and nbytes > _BATCH_NBYTES:
            break
        batch.append(file)
    return batch


def judge(
    batch: Sequence[tuple[Waiting, Path]],
    places: dict[str, str],
    on_verdict: OnVerdict,
    on_postponed: OnPostponed,
    run: Run = run_child,
) -> None:
    """Judge files in one limited child process. The one that ends it is judged again alone, then the others go on.

    Args:
        batch: the files, and where each can be read.
        places: of ``store`` and ``ledger``, as :func:`smalti.ingest.admit.admit` wants them.

    Raises:
        SmaltiError: the machine, not a file, is at fault.
    """
    groups = deque([list(batch)])
    while groups:
        group = groups.popleft()
        talk = _Talk(group, on_verdict, on_postponed)
        files = [{"path": str(path), "key": file.key, "again": file.again} for file, path in group]
        request = {**places, "files": files}
        try:
            if len(group) == 1:
                in_sandbox(_ADMIT, group[0][1], request, partial(run, on_progress=talk.hear))
            else:
                run(_ADMIT, request, talk.hear, limits=_limits(group))
        except ContractBroken as broken:
            if not talk.heard:
                raise Unavailable(f"no file could be judged: {broken}") from broken
            for file, _ in talk.reading:
                on_verdict(file, rejection(file.key, broken))
        except ChildStopped as stopped:
            if not talk.heard:
                raise Unavailable(f"no file could be judged: {stopped}") from stopped
            groups.extendleft(part for part in (talk.left, talk.reading) if part)


class _Talk:
    """What a child has told of its files: which are done, which it was reading, which are left."""

    def __init__(self, group: Group, on_verdict: OnVerdict, on_postponed: OnPostponed) -> None:
        self.heard, self.reading, self.left = False, Group(), list(group)
        self._on_verdict, self._on_postponed = on_verdict, on_postponed

    def hear(self, told: dict[str, Any]) -> None:
        self.heard = True
        if "begun" in told:
            self.reading = [self.left.pop(0)]
            return
        ((file, _),) = self.reading
        self.reading = []
        if "verdict" in told:
            self._on_verdict(file, told["verdict"])
        else:
            self._on_postponed(file, told["postponed"])


def _limits(group: Group) -> ChildLimits:
    """Let a batch take what one file of its size may, and a little for each file; who takes more is judged alone."""
    limits = limits_for(sum(file.nbytes for file, _ in group))
    cpu_s = limits.cpu_s + len(group) // _FILES_PER_CPU_S
    return dataclasses.replace(limits, cpu_s=cpu_s, wall_s=limits.wall_s + 4.0 * (cpu_s - limits.cpu_s))


class Judging:
    """Judges all that arrives at a source, in a thread of its own: nobody who looks in has to wait for a large file.

    Processes that share the ledger take turns.
    """

    def __init__(self, source: Source, ledger: Path, store: str, quarantine: Path, raw: Path) -> None:
        self._source, self._ledger, self._store, self._raw = source, ledger, store, raw
        self._quarantine = Quarantine(quarantine)
        self._thread: threading.Thread | None = None
        self._until = 0.0
        self.failure: Exception | None = None
        self.postponed: dict[str, str] = {}

    @property
    def busy(self) -> bool:
        """Whether a file is being judged."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, seconds: float) -> None:
        """Judge what is there, and for so many seconds what comes; a file once begun is judged to its end."""
        self._until = time.monotonic() + seconds
        if not self.busy:
            self.failure = None
            self.postponed = {}
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until nothing is being judged any more, at most so long."""
        if self._thread:
            self._thread.join(seconds)

    def _work(self) -> None:
        try:
            with machine_errors(f"waiting for a turn at {self._ledger}"):
                make_folder(self._ledger.parent)
                with alone(self._ledger.with_suffix(".turn")):
                    self.run()
        except Exception as error:  # it is raised by whoever looks in: a thread has nobody to raise it to
            self.failure = error

    def run(self) -> None:
        """Judge, in this thread, until nothing is left or the time is over."""
        _sweep(self._quarantine.folder / _FETCHED)
        ledger, store = Ledger(self._ledger), open_store(self._store)
        try:
            for arrival in ledger.unmoved(self._source.id):  # whoever judged it was killed then
                self._quarantined(ledger, arrival)
            while True:
                self._call_back(ledger)
                found, owner = self._source.look(), partial(stored_name, store)
                waiting = ledger.look(self._source.id, found, owner, _BATCH_FILES, self.postponed)
                if not waiting:
                    return
                self._judge(ledger, next_batch(waiting))
                if time.monotonic() > self._until:
                    return
        finally:
            ledger.close()

    def _judge(self, ledger: Ledger, batch: Sequence[Waiting]) -> None:
        def postponed(file: Waiting, why: str) -> None:
            self.postponed[file.name] = why

        def judged(file: Waiting, verdict: Verdict) -> None:
            stamped = {**verdict, "judged_at": datetime.now(UTC).isoformat(timespec="microseconds")}
            if verdict["accepted"]:
                self._quarantine.clear(file.key)
            arrival = ledger.judged(self._source.id, file, stamped)
            if arrival and not arrival.accepted:
                self._quarantined(ledger, arrival, paths.get(file.name))

        with staged_folder(self._quarantine.folder / _FETCHED) as folder:
            paths: dict[str, Path] = {}
            for number, file in enumerate(batch):
                try:
                    paths[file.name] = self._source.fetch(file.name, folder / str(number))
                except (NotFound, Unavailable) as error:
                    postponed(file, str(error))
                except ContractBroken as error:
                    judged(file, rejection(file.key, error))
            places = {"store": self._store, "ledger": str(self._ledger)}
            if ready := [(file, paths[file.name]) for file in batch if file.name in paths]:
                judge(ready, places, judged, postponed)

    def _quarantined(self, ledger: Ledger, arrival: Arrival, fetched: Path | None = None) -> None:
        """Move a rejected file to quarantine, unless it changed since it was judged or is no regular file."""
        path = self._source.path(arrival.name)
        if path is not None:
            now = self._source.identity(arrival.name)
            if now is not None and now != arrival.identity:
                ledger.moved(arrival, "it was replaced while it was judged, and is judged again", quarantined=False)
                return
            if now is not None and (path.is_symlink() or not path.is_file()):
                ledger.moved(arrival, "it is no regular file and stays where it is", quarantined=False)
                return
        try:
            place = self._quarantine.take(arrival.key, arrival.name, path or fetched, arrival.verdict)
        except Unavailable as error:
            ledger.moved(arrival, f"it stays where it is: {error}", quarantined=False)
        else:
            ledger.moved(arrival, str(place), quarantined=path is not None)

    def _call_back(self, ledger: Ledger) -> None:
        """Bring a file back from quarantine when its card has been dropped where the file arrived."""
        for name in self._source.cards_alone():
            key = ledger.key_of(name)
            entry = self._quarantine.waiting(key) if key else None
            if entry and entry.file:
                with suppress(Refused):  # the file came as well, a moment ago
                    self._quarantine.retry(entry, self._raw)


def _sweep(folder: Path) -> None:
    """Remove copies from a bucket that whoever fetched them did not live to remove."""
    for left in folder.iterdir() if folder.is_dir() else ():
        if time.time() - left.stat().st_mtime > _DAY_S:
            shutil.rmtree(left, ignore_errors=True)


def said(postponed: dict[str, str]) -> str:
    """Return in sentences which files could not be judged yet."""
    return " ".join(f"{shown(name)}: {why}" for name, why in sorted(postponed.items()))
