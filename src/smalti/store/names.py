"""Names people give to values: each name is a folder of small files, one per version, never rewritten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from smalti.digest import is_address
from smalti.errors import Damaged, NotFound, Refused
from smalti.store.documents import Documents
from smalti.store.format.sealed import seal, unseal

_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_FOLDER = "names/"
HISTORIES = (
    "directories/"  # names that begin so are those of directories: their earlier versions go where the last goes
)
_MOST_VERSIONS = 10**6  # their keys are listed in order of six digits
_TIME = re.compile(r"[0-9T:.+Z-]{10,40}")
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
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Refused(
            f"{name!r} cannot be a name: use letters, digits, '.', '_' and '-', in parts of at most 128 "
            "characters that begin with a letter or digit, joined by '/'."
        )
    return name


class Names:
    """The names of one store, kept as documents ``names/<name>/@NNNNNN.json``."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def versions(self, name: str) -> list[NameVersion]:
        """Return every version of a name, oldest first; empty when there is none."""
        return [self.read(key) for key in self._keys_of(check_name(name))]

    def latest(self, name: str) -> NameVersion | None:
        """Return what a name stands for now, or None."""
        keys = self._keys_of(check_name(name))
        return self.read(keys[-1]) if keys else None

    def give(self, name: str, address: str, known: NameVersion | None = None) -> None:
        """Let ``name`` stand for ``address`` from now on; nothing is written when it does already.

        Args:
            known: what it stood for a moment ago.
        """
        check_name(name)
        latest = known if known and known.address != address else self.latest(name)
        while True:
            if latest and latest.address == address:
                self._documents.create(key_of(name, latest.version), seal(asdict(latest)))  # there, and surely durable
                return
            if latest and latest.name != name:  # the file system ignores case and would mix their versions
                raise _other_case(name, latest)
            version = latest.version + 1 if latest else 1
            now = datetime.now(UTC).isoformat(timespec="seconds")
            content = seal({"name": name, "version": version, "address": address, "at": now})
            if self._documents.create(key_of(name, version), content):
                return
            latest = self.latest(name)  # another writer took this version

    def bring(self, version: NameVersion) -> bool:
        """Write a version as it is in another store, with its number and time; False where there is one of that number.

        Raises:
            Refused: it is none, or the name differs from one that is here by case only.
        """
        _check(version)
        latest = self.latest(version.name)
        if latest and latest.name != version.name:
            raise _other_case(version.name, latest)
        return self._documents.create(key_of(version.name, version.version), seal(asdict(version)))

    def forget(self, name: str, keep_last: int = 0) -> None:
        """Take away the versions of a name but the newest ``keep_last``; the values stay until they are collected."""
        keys = self._keys_of(check_name(name))
        for key in keys[: max(0, len(keys) - keep_last)]:  # oldest first: interrupted, it still stands for what it did
            self._documents.remove(key)

    def forget_before(self, name: str, version: int) -> None:
        """Take away the versions of a name that came before one, oldest first; what it stands for now stays."""
        for key in self._keys_of(check_name(name))[:-1]:
            if key < key_of(name, version):
                self._documents.remove(key)

    def all(self) -> Iterator[NameVersion]:
        """Yield the latest version of every name, in order."""
        latest = {key.rsplit("/", 1)[0]: key for key in self.keys()}  # in order, so the last one stays
        for key in latest.values():
            yield self.read(key)

    def keys(self) -> Iterator[str]:
        """Yield the key of every version's document, in order."""
        yield from (key for key in self._documents.keys(_FOLDER) if "/@" in key)

    def addresses(self) -> set[str]:
        """Return what all versions of all names stand for; a name taken away meanwhile counts no more.

        Raises:
            Damaged: the document of a version is not what was written.
        """
        found = set()
        for key in self.keys():
            with suppress(NotFound):
                found.add(self.read(key).address)
        return found

    def read(self, key: str) -> NameVersion:
        """Return one version.

        Raises:
            Damaged: its document is not what was written.
            NotFound: it was taken away.
        """
        try:
            version = NameVersion(**unseal(self._documents.read(key), f"the name {key}"))
        except TypeError as error:
            raise Damaged(f"the name {key} has other fields than a name: {error}.") from error
        try:
            _check(version)
        except Refused as error:
            raise Damaged(f"the name {key} is not what a store writes: {error}") from error
        if key_of(version.name, version.version).casefold() != key.casefold():  # some file systems ignore case
            raise Damaged(f"the name {key} holds version {version.version} of {version.name!r}; restore it.")
        return version

    def _keys_of(self, name: str) -> list[str]:
        return list(self._documents.keys(f"{_FOLDER}{name}/@"))  # not the names below it


def _check(version: NameVersion) -> None:
    """Pass a version whose fields are what they should be; another store may say anything.

    Raises:
        Refused: they are not.
    """
    check_name(version.name)
    if type(version.version) is not int or not 1 <= version.version < _MOST_VERSIONS:
        raise Refused(f"{version.version!r} is no number of a version of {version.name!r}.")
    if not isinstance(version.address, str) or not is_address(version.address):
        raise Refused(f"version {version.version} of {version.name!r} stands for {version.address!r}, no address.")
    if not isinstance(version.at, str) or not _TIME.fullmatch(version.at):
        raise Refused(f"version {version.version} of {version.name!r} was given at {version.at!r}, which is no time.")


def _other_case(name: str, there: NameVersion) -> Refused:
    return Refused(f"{name!r} differs from the existing name {there.name!r} by case only; use that one.")


def key_of(name: str, version: int) -> str:
    """Return the key of the document of a version."""
    return f"{_FOLDER}{name}/@{version:06}.json"
