"""Where rejected files wait to be mended: ``data/quarantine/<key>/{file, report.json, README.txt}``; none is deleted.

The folder of a key holds the file that was rejected last under it. What was rejected before, retried or replaced by an
accepted file is history: ``.history/<key>~<number>/``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalti.contracts.violation import shown
from smalti.errors import NotFound, Refused, Unavailable
from smalti.scans.card import SUFFIX
from smalti.store.commit import machine_errors, make_folder, staged_folder, sync, write_file

HISTORY = ".history"
REPORT, README = "report.json", "README.txt"
_LONGEST_NAME_NBYTES = 255


@dataclass(frozen=True, slots=True)
class Entry:
    """A rejected file.

    Attributes:
        key: the scan's key, and the name of the folder.
        folder: where all of it lies.
        filename: what the file was called where it arrived.
        file: the file, or None where it is not here (any more).
        report: how its validation ended, see :func:`smalti.ingest.admit.admit`.
        past: it is history: retried, or replaced by a later file.
    """

    key: str
    folder: Path
    filename: str
    file: Path | None
    report: Mapping[str, Any]
    past: bool


class Quarantine:
    """The rejected files of one root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, key: str, filename: str, path: Path | None, report: Mapping[str, Any]) -> Path:
        """Move a rejected file, and its card if it has one, here; return its folder.

        Interrupted, the same call with the same report goes on where it stopped. What was here under the key becomes
        history.

        Args:
            path: the file, or None where it is gone.
            report: JSON; two validations never have equal ones.

        Raises:
            Unavailable: the file could not be moved: it is where it was, and its report is in the history.
        """
        folder = self.folder / _checked(key)
        told = {**report, "key": key, "filename": filename}
        with machine_errors(f"moving {shown(filename)} to {folder}"):
            if (here := self._read(folder)) is None or here.report != told:
                self._to_history(key)
                self._open(folder, told)
            if path is not None and path.exists():
                try:
                    path.rename(folder / _own(filename, key))
                except OSError:
                    self._to_history(key)
                    raise
                card = path.with_name(path.name + SUFFIX)
                with suppress(OSError):  # none, or the name is too long to have one
                    card.rename(folder / card.name)
            sync(folder)
        return folder

    def clear(self, key: str) -> None:
        """Make what is here under a key history, because a later file of it was accepted."""
        with machine_errors(f"clearing {self.folder / _checked(key)}"):
            self._to_history(key)

    def entries(self, *, past: bool = False) -> list[Entry]:
        """Return what waits to be mended, by key; with ``past`` what is history too."""
        folders = [*_folders(self.folder), *(_folders(self.folder / HISTORY) if past else ())]
        return [entry for folder in folders if (entry := self._read(folder))]

    def state(self) -> str:
        """Return what changes whenever something comes here or leaves; no report is opened."""
        found = hashlib.sha256()
        for folder in _folders(self.folder):
            with suppress(OSError):  # it leaves meanwhile
                at = folder.stat()
                found.update(f"{folder.name!r} {at.st_ino} {at.st_mtime_ns}\n".encode())
        return found.hexdigest()

    def waiting(self, key: str) -> Entry | None:
        """Return what waits to be mended under a key, or None."""
        return self._read(self.folder / _checked(key))

    def entry(self, name: str) -> Entry:
        """Return what is known under a key, the name of a folder in the history, or the name of a file.

        Raises:
            NotFound: there is no such thing.
        """
        for entry in self.entries(past=True):
            if name in (entry.folder.name, entry.filename):
                return entry
        raise NotFound(f"there is no {shown(name)} in {self.folder}; `smalti quarantine list --all` lists what is.")

    def retry(self, entry: Entry, raw: Path) -> Path:
        """Move a file back to where it arrived, so that it is validated again; its report becomes history.

        A card that lies there already is the mended one and stays; the old one is kept with the report.

        Raises:
            Refused: another file of that name is there, or this one is not here any more.
        """
        if entry.file is None:
            raise Refused(f"{shown(entry.filename)} is not in {entry.folder} any more; drop it in {raw} again.")
        target = raw / entry.file.name
        with machine_errors(f"moving {shown(entry.filename)} back to {raw}"):
            make_folder(raw)
            if os.path.lexists(target):
                raise Refused(f"{raw} has another {shown(target.name)} already; rename that one or move it away.")
            card = entry.folder / (target.name + SUFFIX)
            with suppress(OSError):  # no card, or a mended one is there
                _move(card, raw / card.name)
            try:
                _move(entry.file, target)
            except FileExistsError:
                raise Refused(f"{raw} has another {shown(target.name)} since a moment ago; look at it.") from None
            sync(raw)
            if not entry.past:
                self._to_history(entry.key)
        return target

    def _read(self, folder: Path) -> Entry | None:
        try:
            report = json.loads((folder / REPORT).read_bytes())
            filename = str(report["filename"])
            file = folder / _own(filename, report["key"])
            found = file if os.path.lexists(file) else None
            return Entry(report["key"], folder, filename, found, report, folder.parent.name == HISTORY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(
                f"{folder / REPORT} is not a report of Smalti's ({error}); move {folder} away."
            ) from error

    def _open(self, folder: Path, told: Mapping[str, Any]) -> None:
        """Create the folder with its report, whole or not at all."""
        make_folder(self.folder)
        with staged_folder(self.folder / ".staging") as staged:
            write_file(staged / REPORT, [json.dumps(told, indent=2).encode()])
            write_file(staged / README, [_readme(told).encode()])
            staged.rename(folder)
            sync(self.folder)

    def _to_history(self, key: str) -> None:
        folder = self.folder / key
        number = 1
        while os.path.lexists(folder):
            make_folder(self.folder / HISTORY)
            past = self.folder / HISTORY / f"{key}~{number}"
            if not past.exists():
                with suppress(FileExistsError):
                    folder.rename(past)
                    sync(self.folder)
                    return
            number += 1


def _checked(key: str) -> str:
    if not key or key.startswith(".") or Path(key).name != key:
        raise Refused(f"{shown(key)} cannot name a folder in quarantine; give the key of a scan.")
    return key


def _own(filename: str, key: str) -> str:
    """Return the name a file has in its folder: the last part of its own, unless that cannot be or is taken."""
    name = filename.rpartition("/")[2]
    if name in ("", ".", "..") or "\0" in name or len(os.fsencode(name)) > _LONGEST_NAME_NBYTES:
        return f"{key}.file"
    return f"{key}.file" if name.casefold() in (REPORT.casefold(), README.casefold()) else name


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(child for child in folder.iterdir() if not child.name.startswith("."))


def _move(source: Path, target: Path) -> None:
    """Move a file, never over another: a link fails where the target exists."""
    os.link(source, target, follow_symlinks=False)
    source.unlink()


def _readme(report: Mapping[str, Any]) -> str:
    lines = [
        f"{shown(str(report['filename']))} was not accepted: it does not keep the contract {report['contract']}.",
        "",
        *(f"- {violation['message']}" for violation in report["violations"] if violation["severity"] == "error"),
    ]
    if not report["violations"]:
        lines.append(f"- {report['reason']}")
    return "\n".join(
        [
            *lines,
            "",
            "What to do, whichever is easier:",
            "- mend the file and put it into data/raw again under the same name;",
            "- or put a card that says what is missing (<file>.card.yaml) into data/raw;",
            f"- or, when the file is as it should be: smalti quarantine retry {report['key']}",
            "",
            "Nothing here is ever deleted by Smalti. report.json says the same for programs.",
            "",
        ]
    )
