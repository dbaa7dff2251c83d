"""Ordinary files of small values, for views to lead to: the values themselves lie in their records."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from smalti import canonical
from smalti.digest import PREFIX, is_address
from smalti.errors import SmaltiError
from smalti.store.backends.base import folder_key
from smalti.store.backends.local.backend import LocalBackend
from smalti.store.commit import spool, write_file
from smalti.store.format.record import Record
from smalti.store.read.assembly import load_record

_FOLDER = "small/"
_MOST_NBYTES = 16 * 1024  # of a file that is there twice


class SmallFiles:
    """``small/<two digits>/<digits>.<ending>``, each written when a view first leads to it.

    They are copies: not synced, made again by ``smalti runs views --rebuild``, and removed by the collection that
    finds their values gone.
    """

    def __init__(self, backend: LocalBackend) -> None:
        self._backend = backend
        self._root = backend.root

    def key(self, record: Record) -> str | None:
        """Return the key that the file of a value has, whether or not it is written; None for one that gets none."""
        if (content := _content(record)) is None or len(content) > _MOST_NBYTES:
            return None
        digits = record.address.removeprefix(PREFIX)
        return f"{_FOLDER}{digits[:2]}/{digits}{record.ending}"

    def make(self, link: str) -> None:
        """Write the file that a link leads to, if it is one of these and not there."""
        path = self._path(link)
        if path is None or path.exists():
            return
        with suppress(SmaltiError):  # gone meanwhile, or damaged: fsck says so
            content = _content(load_record(self._backend, _address(path)))
            path.parent.mkdir(parents=True, exist_ok=True)
            with spool(self._backend.staging) as beside:
                write_file(beside, [content or b""], synced=False)
                beside.replace(path)

    def is_missing(self, link: str) -> bool:
        """Tell whether a link leads to one of these files that is not there."""
        path = self._path(link)
        return path is not None and not path.exists()

    def sweep(self) -> None:
        """Remove the files of values that are not there any more."""
        for path in self._root.glob(f"{_FOLDER}*/*"):
            if is_address(address := _address(path)) and not (self._root / folder_key(address)).is_dir():
                path.unlink(missing_ok=True)

    def _path(self, link: str) -> Path | None:
        key = link.replace("../", "")
        return self._root / key if key.startswith(_FOLDER) else None


def _address(path: Path) -> str:
    return PREFIX + path.name.partition(".")[0]


def _content(record: Record) -> bytes | None:
    """Return the ordinary file of a value that lies in its record; None for any other."""
    if record.kind == "json":
        return canonical.text(record.header["value"])
    return record.content or None
