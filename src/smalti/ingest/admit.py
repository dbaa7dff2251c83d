"""A file arrives: it is copied aside, the copy is validated in the sandbox, and an accepted copy is stored."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from smalti.codecs.rawfile import RawFile
from smalti.codecs.scan import Scan
from smalti.contracts.violation import Violation, broken, shown
from smalti.errors import ContractBroken, Damaged, NotFound, SmaltiError, Unavailable
from smalti.formats import Limits, opened
from smalti.formats.regular_file import open_regular
from smalti.formats.sniff import recognise
from smalti.ingest.keys import file_key, same_name
from smalti.ingest.kinds import claimed_kind, kind_named, kinds
from smalti.ingest.scratch import folder_for_large_files
from smalti.ingest.validate import document, refused
from smalti.scans.card import LARGEST_NBYTES, Card, card_path
from smalti.scans.shipped import card_for
from smalti.store import Store
from smalti.store.commit import machine_errors, staged_folder
from smalti.store.values import ArrayInside

_CHUNK_NBYTES = 1 << 20
_LARGEST_NBYTES = Limits().file_nbytes
Report = dict[str, Any]


class Validator(Protocol):
    """What reads and validates a foreign file; see :class:`smalti.ingest.sandbox.Sandbox`."""

    def validate(self, path: Path, *, contract: str | None = None, keep: bool = False) -> Validated: ...
    def stored_arrays(self, path: Path) -> tuple[ArrayInside, ...]: ...


class Validated(Protocol):
    """What came of it: the document of :func:`smalti.ingest.validate.document`, and the value where it was kept."""

    @property
    def document(self) -> Report: ...

    @property
    def value(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Examined:
    """A file that was copied aside and validated, and is not stored yet: what is known of it, and the copy.

    Attributes:
        arrays: where arrays lie in the copy, if a process in the sandbox found them; nothing about them is certain.
    """

    report: Report
    copy: Path | None = None
    arrays: tuple[ArrayInside, ...] = ()


def admit(path: Path, key: str, store: Store, sandbox: Validator) -> Report:
    """Validate a file and store it where it is accepted: :func:`examine`, then :func:`keep`."""
    with staged_folder(staging_folder(store)) as folder:
        return keep(examine(path, key, folder, sandbox), store)


def examine(
    path: Path, key: str, folder: Path, sandbox: Validator, known: Callable[[str], Report | None] = lambda _: None
) -> Examined:
    """Copy a file and its card into an empty folder, and validate the copy in the sandbox.

    This process copies bytes; it never parses them. A file of equal bytes that was validated before under another key
    is not read again.

    Args:
        key: under which it will be stored.
        known: gives the report on a content (the digest of the bytes and the card), where there is one.

    Returns:
        In its report ``key``, ``kind``, ``contract``, ``content``, ``accepted``, ``reason`` (sentences, "" when
        accepted) and ``violations``; of an accepted file also ``shape`` and ``contents``; and ``same_bytes_as``, a key,
        where equal bytes were validated under it.

    Raises:
        Unavailable, Damaged, NotFound: the machine, not the file, is at fault, or the file is gone.
    """
    content = ""
    try:
        with machine_errors(f"copying {shown(path.name)} aside"):
            copy, content = copy_aside(path, folder)
        before = known(content)
        if before and before["key"] != key:
            return Examined({**before, "key": key, "same_bytes_as": before.get("same_bytes_as") or before["key"]}, copy)
        answer = sandbox.validate(copy).document
        arrays = sandbox.stored_arrays(copy) if answer["accepted"] and _is_hdf5(copy) else ()
        return Examined({"key": key, "content": content, **answer, "reason": answer["reason"] or ""}, copy, arrays)
    except (Unavailable, Damaged, NotFound):
        raise
    except SmaltiError as error:
        return Examined(rejection(path.name, key, error, content))


def keep(examined: Examined, store: Store) -> Report:
    """Store the copy of an accepted file as ``raw_<kind>/<key>``; return its report.

    Returns:
        The report; that of an accepted file also has ``digest``, ``nbytes``, ``new_bytes``, ``source`` and ``licence``.

    Raises:
        Unavailable: it could not be stored.
    """
    report = examined.report
    if not report["accepted"] or examined.copy is None:
        return report
    with machine_errors(f"storing {shown(examined.copy.name)}"):
        return report | _stored(store, examined.copy, report["kind"], report["key"], examined.arrays)


def rejection(filename: str, key: str, error: SmaltiError, content: str = "") -> Report:
    """Return the report on a file that could not be read at all."""
    kind = claimed_kind(filename)
    told = document(refused(error, kind.contract_id, kind.name), filename)
    return {"key": key, "content": content, **told}


def copy_aside(path: Path, folder: Path) -> tuple[Path, str]:
    """Copy a file and its card, which must hold still meanwhile; return the copy and the digest of both.

    Raises:
        ContractBroken: it is no regular file, or too large.
        Unavailable: it was written to while it was copied.
    """
    copy = folder / path.name
    digest = hashlib.sha256()
    with open_regular(path) as source, copy.open("xb") as target:
        before = os.fstat(source.fileno())
        refuse_too_large(path.name, before.st_size)
        while target.tell() <= before.st_size and (chunk := source.read(_CHUNK_NBYTES)):
            digest.update(chunk)
            target.write(chunk)
        after = os.fstat(source.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Unavailable(f"{path.name} was written to while it was read; it is validated once it holds still.")
    with suppress(NotFound), open_regular(card_path(path)) as card:
        written = card.read(LARGEST_NBYTES + 1)
        card_path(copy).write_bytes(written)
        digest.update(hashlib.sha256(written).digest())
    return copy, digest.hexdigest()


def refuse_too_large(name: str, nbytes: int) -> None:
    """Refuse a file that nobody would read, before it is copied.

    Raises:
        ContractBroken: it is larger than any file that is read.
    """
    if nbytes > _LARGEST_NBYTES:
        wanted, remedy = f"at most {_LARGEST_NBYTES} bytes", "cut it into several scans"
        raise broken(name, [Violation("file.too_large", "the file", f"{nbytes} bytes", wanted, remedy)])


def staging_folder(store: Store) -> Path:
    """Return where copies of foreign files lie for a moment: beside the store, or here where it is elsewhere."""
    local = ":" not in store.place.partition("/")[0]
    return Path(store.place) / "tmp" if local else folder_for_large_files() / "smalti"


def _is_hdf5(path: Path) -> bool:
    """Tell whether a file claims to be HDF5, by its first bytes."""
    with opened(path) as source:
        try:
            return recognise(source) == "hdf5"
        except ContractBroken:
            return False


def _stored(store: Store, copy: Path, kind: str, key: str, arrays: tuple[ArrayInside, ...]) -> Report:
    card = card_for(copy)
    with copy.open("rb") as file:
        nbytes = os.fstat(file.fileno()).st_size
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) if nbytes else memoryview(b"")
    described = card.model_dump(mode="json", exclude_none=True) if card else {}
    of = kind_named(kind)
    raw = RawFile(_text(copy.name), content, described, of.contract_id, arrays)
    ref = store.put(raw, name=f"{of.raw}/{key}")
    about = {"source": card.source if card else "", "licence": card.licence if card else ""}
    return {"digest": ref.digest, "nbytes": ref.nbytes, "new_bytes": ref.new_bytes, **about}


def _text(filename: str) -> str:
    """Return a file name as text in one spelling; bytes of it that are no text are escaped."""
    return os.fsencode(same_name(filename)).decode("utf-8", "backslashreplace")


def stored_name(store: Store, key: str) -> str | None:
    """Return the name of the file that has a key already, of whatever kind; None where the key is free.

    Kinds share their keys: a product that was dropped and one that was computed from a scan lie in one folder.
    """
    for kind in kinds():
        with suppress(NotFound):
            return str(store.open(f"{kind.raw}/{key}").attrs["filename"])
    return None


def value_of(store: Store, raw: str, sandbox: Validator, name: str | None = None) -> Any:
    """Return the value in a stored original, read by its contract in the sandbox: a scan, a table, a product.

    Args:
        name: what a scan is called; by default the plainest key of its file.

    Raises:
        ContractBroken: it does not keep the contract of this version.
    """
    filename, validated = _validated(store, raw, sandbox)
    if not validated.document["accepted"]:
        raise ContractBroken(validated.document["reason"])
    value = validated.value
    if isinstance(value, Scan):
        return replace(value, metadata=value.metadata.model_copy(update={"name": name or file_key(filename)}))
    return value


def _validated(store: Store, raw: str, sandbox: Validator) -> tuple[str, Validated]:
    stored: RawFile = store.get(raw)
    with staged_folder(staging_folder(store)) as folder:  # a near-duplicate has no file that could be opened instead
        copy = folder / _openable(stored.filename)
        store.write_file(store.record(raw).children["content"], copy)
        if stored.card:
            card = Card.model_validate(stored.card)
            card_path(copy).write_bytes(card.model_dump_json(exclude_none=True).encode())
        return stored.filename, sandbox.validate(copy, keep=True)


def _openable(filename: str) -> str:
    """Return a name with the endings of ``filename``, which decide how text is read, that any file system takes."""
    return f"raw{''.join(Path(filename).suffixes[-2:])}" if filename.isprintable() and len(filename) < 200 else "raw"
