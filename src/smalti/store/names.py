"""Names people give to values: each name is a folder of small files, one per version, never rewritten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from smalti.errors import Refused
from smalti.store.commit import publish_file
from smalti.store.record import seal, unseal

_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_NAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")


@dataclass(frozen=True, slots=True)
class NameVersion:
    """One version of a name: what it stood for since ``at`` (UTC, ISO 8601)."""

    name: str
    version: int
    address: str
    at: str


def check_name(name: str) -> str:
    """Return ``name`` if it may name a value.

    Raises:
        Refused: it is not segments of letters, digits, dot, dash and underscore joined by ``/``.
    """
    if not _NAME.fullmatch(name):
        raise Refused(
            f"{name!r} cannot be a name: use letters, digits, '.', '_' and '-', in parts of at most 128 "
            "characters that begin with a letter or digit, joined by '/'."
        )
    return name


class Names:
    """The names of one local store."""

    def __init__(self, root: Path) -> None:
        self._root = root / "names"
        self._staging = root / "tmp"

    def versions(self, name: str) -> list[NameVersion]:
        """Return every version of a name, oldest first; empty when there is none."""
        folder = self._root / check_name(name)
        return [self.read(path) for path in sorted(folder.glob("@*.json"))]

    def latest(self, name: str) -> NameVersion | None:
        """Return what a name stands for now, or None."""
        paths = sorted((self._root / check_name(name)).glob("@*.json"))
        return self.read(paths[-1]) if paths else None

    def give(self, name: str, address: str) -> None:
        """Let ``name`` stand for ``address`` from now on; nothing is written when it does already."""
        folder = self._root / check_name(name)
        while True:
            latest = self.latest(name)
            if latest and latest.address == address:
                return
            if latest is None:
                self._refuse_twins(folder)
            version = latest.version + 1 if latest else 1
            now = datetime.now(UTC).isoformat(timespec="seconds")
            content = seal({"name": name, "version": version, "address": address, "at": now})
            if publish_file(folder / f"@{version:06}.json", content, self._staging):
                return  # otherwise another writer took this version: look again

    def all(self) -> Iterator[NameVersion]:
        """Yield the latest version of every name, in order."""
        for folder in sorted({path.parent for path in self.files()}):
            latest = self.latest(folder.relative_to(self._root).as_posix())
            if latest:
                yield latest

    def files(self) -> Iterator[Path]:
        """Yield every version file, in order."""
        yield from sorted(self._root.rglob("@*.json"))

    def read(self, path: Path) -> NameVersion:
        return NameVersion(**unseal(path.read_bytes(), f"the name file {path}"))

    def _refuse_twins(self, folder: Path) -> None:
        """A file system that ignores case would mix the versions of two names."""
        while folder != self._root:
            siblings = folder.parent.iterdir() if folder.parent.is_dir() else ()
            for other in siblings:
                if other.name != folder.name and other.name.casefold() == folder.name.casefold():
                    raise Refused(
                        f"the name part {folder.name!r} differs from the existing {other.name!r} by case only; "
                        "use that one or another word."
                    )
            folder = folder.parent
