"""Validates what arrives at a source, in a thread of its own: accepted files are stored, rejected ones quarantined."""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from smalti import open_store
from smalti.contracts.violation import shown
from smalti.errors import ContractBroken, Damaged, NotFound, Refused, Unavailable
from smalti.ingest.admit import Report, Validator, admit, rejection, staging_folder, stored_name
from smalti.ingest.keys import same_name
from smalti.ingest.kinds import kinds
from smalti.ingest.ledger import Arrival, Ledger, Waiting
from smalti.ingest.quarantine import Quarantine
from smalti.ingest.sandbox import Sandbox
from smalti.ingest.source import Source
from smalti.store import Store
from smalti.store.commit import alone, machine_errors, make_folder

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
        self.ignored: Mapping[str, str] = {}

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
                self.ignored = listing.ignored
                waiting = ledger.look(self._source.id, listing.files, owner, _LOOKED_AT_ONCE, self.postponed)
                if not waiting:
                    return
                with self._sandbox(staging_folder(store)) as sandbox:
                    for file in waiting:
                        self._admitted(ledger, store, sandbox, file)
                        if time.monotonic() > self._until:
                            return
        finally:
            ledger.close()

    def _admitted(self, ledger: Ledger, store: Store, sandbox: Validator, file: Waiting) -> None:
        """Admit one file, write the result down, and move it to quarantine where it is rejected."""

        def known(content: str) -> Report | None:
            before = None if file.again else ledger.first_with(content)
            return before.report if before and _is_current(before.report) else None

        with self._fetching() as folder:
            path = None
            try:
                path = self._source.fetch(file.name, folder)
                report = admit(path, file.key, store, sandbox, known)
            except ContractBroken as error:
                report = rejection(same_name(file.name), file.key, error)
            except (NotFound, Unavailable, Damaged) as error:
                self.postponed[file.name] = str(error)
                return
            report = {**report, "validated_at": datetime.now(UTC).isoformat(timespec="microseconds")}
            if report["accepted"]:
                self._quarantine.clear(file.key)
            arrival = ledger.validated(self._source.id, file, report)
            if not arrival.accepted:
                self._quarantined(ledger, arrival, path)

    @contextmanager
    def _fetching(self) -> Iterator[Path]:
        """Yield where a source may make a folder for the file that it fetches; it is removed afterwards."""
        folder = self._quarantine.folder / _FETCHED / uuid.uuid4().hex
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

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
