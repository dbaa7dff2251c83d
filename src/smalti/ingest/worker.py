"""Validates what arrives at a source, in a thread of its own: accepted files are stored, rejected ones quarantined."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from smalti import open_store
from smalti.contracts.violation import shown
from smalti.errors import ContractBroken, Damaged, NotFound, Refused, Unavailable
from smalti.ingest.admit import Examined, Report, Validator, examine, keep, rejection, staging_folder, stored_name
from smalti.ingest.keys import same_name
from smalti.ingest.kinds import kinds
from smalti.ingest.ledger import Arrival, Ledger, Waiting
from smalti.ingest.quarantine import Quarantine
from smalti.ingest.sandbox import Sandbox
from smalti.ingest.source import Source
from smalti.store import Store
from smalti.store.commit import alone, machine_errors, make_folder, staged_folder

_LOOKED_AT_ONCE = 250
_FETCHED, _DAY_S = ".fetched", 24 * 3600


class Worker:
    """Validates all that arrives at a source, without anybody having to wait for a large file.

    Processes that share the ledger take turns.

    Args:
        sandbox: makes what reads and validates foreign files, given a folder to work in.
    """

    def __init__(
        self,
        source: Source,
        ledger: Path,
        store: str,
        quarantine: Path,
        raw: Path,
        sandbox: Callable[[Path], AbstractContextManager[Validator]] = Sandbox,
    ) -> None:
        self._source, self._ledger, self._store, self._raw = source, ledger, store, raw
        self._quarantine, self._sandbox = Quarantine(quarantine), sandbox
        self._thread: threading.Thread | None = None
        self._until = 0.0
        self.failure: Exception | None = None
        self.postponed: dict[str, str] = {}

    @property
    def busy(self) -> bool:
        """Whether a file is being validated."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, seconds: float) -> None:
        """Validate what is there, and for so many seconds what comes; a file once begun is finished."""
        self._until = time.monotonic() + seconds
        if not self.busy:
            self.failure = None
            self.postponed = {}
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until nothing is being validated any more, at most so long."""
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
        """Validate, in this thread, until nothing is left or the time is over."""
        _sweep(self._quarantine.folder / _FETCHED)
        ledger, store = Ledger(self._ledger), open_store(self._store)
        try:
            for arrival in ledger.unmoved(self._source.id):  # the process that validated it was killed then
                self._quarantined(ledger, arrival)
            while True:
                self._call_back(ledger)
                listing, owner = self._source.look(), partial(stored_name, store)
                ledger.ignore(self._source.id, listing.ignored)
                waiting = ledger.look(self._source.id, listing.files, owner, _LOOKED_AT_ONCE, self.postponed)
                if not waiting:
                    return
                if not self._admit_all(waiting, ledger, store):
                    return
        finally:
            ledger.close()

    def _admit_all(self, waiting: Sequence[Waiting], ledger: Ledger, store: Store) -> bool:
        """Admit files in their order, the next read while one is stored; tell whether there was time for all."""
        staging, fetched = staging_folder(store), self._quarantine.folder / _FETCHED
        with self._sandbox(staging) as sandbox, _Ahead(self._ledger, self._source, sandbox, staging, fetched) as ahead:
            coming: Future[_Read] | None = ahead.read(waiting[0])
            for following in (*waiting[1:], None):
                assert coming is not None
                read = coming.result()
                over = time.monotonic() > self._until
                coming = ahead.read(following) if following and not over else None
                with read.held:
                    self._finish(read, ledger, store)
                if coming is None:
                    return following is None
        return True

    def _finish(self, read: _Read, ledger: Ledger, store: Store) -> None:
        """Store what was accepted, write down how the validation ended, and quarantine what was rejected."""
        file = read.file
        try:
            report = keep(read.examined, store) if read.examined else None
        except (Unavailable, Damaged) as error:
            report, why = None, str(error)
        else:
            why = read.postponed
        if report is None:
            self.postponed[file.name] = why
            return
        report = {**report, "validated_at": datetime.now(UTC).isoformat(timespec="microseconds")}
        if report["accepted"]:
            self._quarantine.clear(file.key)
        arrival = ledger.validated(self._source.id, file, report)
        if not arrival.accepted:
            self._quarantined(ledger, arrival, read.path)

    def _quarantined(self, ledger: Ledger, arrival: Arrival, fetched: Path | None = None) -> None:
        """Move a rejected file to quarantine, unless it changed since it was read or is no regular file."""
        path = self._source.path(arrival.name)
        if path is not None:
            now = self._source.identity(arrival.name)
            if now is not None and now != arrival.identity:
                told = "it was replaced while it was validated, and is validated again"
                ledger.moved(arrival, told, quarantined=False)
                return
            if now is not None and (path.is_symlink() or not path.is_file()):
                ledger.moved(arrival, "it is no regular file and stays where it is", quarantined=False)
                return
        try:
            place = self._quarantine.take(arrival.key, arrival.name, path or fetched, arrival.report)
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


@dataclass(frozen=True, slots=True)
class _Read:
    """A file that was read: how that ended, or why it is read later; ``held`` removes what was copied of it."""

    file: Waiting
    held: ExitStack
    path: Path | None = None
    examined: Examined | None = None
    postponed: str = ""


class _Ahead:
    """Reads one file at a time in a thread of its own, with a ledger of its own: SQLite wants one for each thread."""

    def __init__(self, ledger: Path, source: Source, sandbox: Validator, staging: Path, fetched: Path) -> None:
        self._path, self._source, self._sandbox = ledger, source, sandbox
        self._staging, self._fetched = staging, fetched
        self._last: Future[_Read] | None = None
        self._here: dict[str, Report] = {}  # what the ledger may not have yet
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> _Ahead:
        self._ledger = self._thread.submit(Ledger, self._path).result()
        return self

    def __exit__(self, *_: object) -> None:
        if self._last and not self._last.exception():
            self._last.result().held.close()
        self._thread.submit(self._ledger.close).result()
        self._thread.shutdown()

    def read(self, file: Waiting) -> Future[_Read]:
        """Begin to read a file."""
        self._last = self._thread.submit(self._read, file)
        return self._last

    def _read(self, file: Waiting) -> _Read:
        held = ExitStack()
        try:
            folder = held.enter_context(staged_folder(self._staging))
            fetched = self._fetched / folder.name  # where it can be moved to quarantine from
            held.callback(shutil.rmtree, fetched, ignore_errors=True)
            path = self._source.fetch(file.name, fetched)
            known = (lambda _: None) if file.again else self._known
            examined = examine(path, file.key, folder, self._sandbox, known)
        except ContractBroken as error:
            return _Read(file, held, examined=Examined(rejection(same_name(file.name), file.key, error)))
        except (NotFound, Unavailable, Damaged) as error:
            return _Read(file, held, postponed=str(error))
        except BaseException:
            held.close()
            raise
        self._here.setdefault(str(examined.report["content"]), examined.report)
        return _Read(file, held, path, examined)

    def _known(self, content: str) -> Report | None:
        before = self._ledger.first_with(content)
        report = before.report if before else self._here.get(content)
        return report if report and _is_current(report) else None


def _is_current(report: Report) -> bool:
    """Tell whether a report was made by the contract that its kind has now."""
    return report.get("contract") in {kind.contract_id for kind in kinds()}


def _sweep(folder: Path) -> None:
    """Remove copies from a bucket that whoever fetched them did not live to remove."""
    for left in folder.iterdir() if folder.is_dir() else ():
        if time.time() - left.stat().st_mtime > _DAY_S:
            shutil.rmtree(left, ignore_errors=True)


def in_sentences(postponed: dict[str, str]) -> str:
    """Return in sentences which files could not be validated yet."""
    return " ".join(f"{shown(name)}: {why}" for name, why in sorted(postponed.items()))
