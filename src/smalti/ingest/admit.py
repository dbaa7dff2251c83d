"""A raw file arrives: it is copied aside, the copy is judged, and only an accepted copy is stored."""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from smalti.codecs.rawfile import RawFile
from smalti.codecs.scan import Scan
from smalti.contracts import SCAN, ValidationResult, Violation
from smalti.contracts.violation import broken, errors
from smalti.errors import ContractBroken, Damaged, NotFound, SmaltiError, Unavailable
from smalti.formats import Limits
from smalti.formats.regular_file import open_regular
from smalti.ingest.keys import same_name, scan_key
from smalti.ingest.ledger import Ledger
from smalti.scans import card_path, validate_scan
from smalti.scans.card import LARGEST_NBYTES, Card
from smalti.scans.shipped import card_for
from smalti.store import Store
from smalti.store.commit import machine_errors, staged_folder

__all__ = ["admit", "judge_stored", "refuse_too_large", "rejection", "scan_key", "scan_of", "stored_name"]

_CHUNK_NBYTES = 1 << 20
_LARGEST_NBYTES = Limits().file_nbytes
Verdict = dict[str, Any]


def admit(request: Mapping[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Judge files one after another and keep the accepted ones; what is known of each is reported at once.

    Args:
        request: the places of ``store`` and ``ledger``, and ``files``: of each the ``path``, the ``key``, and ``again``
            where no verdict on equal bytes may stand for its own.
        report: gets ``{"begun": i}`` before a file is opened, and then ``{"verdict": ...}``, or ``{"postponed": why}``
            where the machine and not the file is at fault. A verdict has ``key``, ``contract``, ``content`` (digest of
            the bytes and the card), ``accepted``, ``reason`` (sentences, "" when accepted) and ``violations``; that of
            an accepted file also ``digest``, ``nbytes``, ``new_bytes``, ``shape``, ``source``, ``licence``; and
            ``same_bytes_as``, a key, where equal bytes were judged before under another one.
    """
    from smalti import open_store

    store, ledger = open_store(request["store"]), Ledger(Path(request["ledger"]))
    here: dict[str, Verdict] = {}  # the ledger may not have what this batch has judged

    def known(content: str) -> Verdict | None:
        before = ledger.first_with(content, SCAN.id)
        return here.get(content) or (before.verdict if before else None)

    for number, file in enumerate(request["files"]):
        report({"begun": number})
        path = Path(file["path"])
        try:
            with machine_errors(f"copying {path.name} aside"), staged_folder(_staging(request["store"])) as folder:
                verdict = _admit(path, file["key"], folder, store, (lambda _: None) if file["again"] else known)
        except (Unavailable, Damaged, NotFound) as error:
            if isinstance(error.__cause__, MemoryError):  # of a limited child: a verdict on the file
                raise error.__cause__ from None
            report({"postponed": str(error)})
            continue
        here.setdefault(verdict["content"], verdict)
        report({"verdict": verdict})
    return {}


def _admit(path: Path, key: str, folder: Path, store: Store, known: Callable[[str], Verdict | None]) -> Verdict:
    content = ""
    try:
        copy, content = _copied_aside(path, folder)
        if (before := known(content)) and before["key"] != key:
            verdict = {**before, "key": key, "same_bytes_as": before.get("same_bytes_as") or before["key"]}
            return verdict | (_keep(store, copy, card_for(copy), key) if verdict["accepted"] else {})
        card = card_for(copy)
        outcome = validate_scan(copy, card)
        verdict = {"key": key, "content": content, **_verdict(outcome)}
        return verdict | (_kept(store, copy, card, outcome.value, key) if outcome.value else {})
    except ContractBroken as error:  # the card beside the file, or what stands where the file should
        return rejection(key, error, content)
    except (Unavailable, Damaged, NotFound):
        raise
    except SmaltiError as error:
        reason = {"accepted": False, "reason": str(error), "violations": []}
        return {"key": key, "content": content, "contract": SCAN.id, **reason}


def rejection(key: str, error: ContractBroken, content: str = "") -> Verdict:
    """Return the verdict on a file that could not be read at all."""
    violations = tuple(violation for violation in error.violations if isinstance(violation, Violation))
    return {"key": key, "content": content, **_verdict(ValidationResult(None, violations))}


def _staging(store: str) -> Path:
    """Return where copies are made: beside the objects they become, or on the machine where the store is none."""
    return Path(store) / "tmp" if "://" not in store else Path(tempfile.gettempdir()) / "smalti"


def _copied_aside(path: Path, folder: Path) -> tuple[Path, str]:
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
        raise Unavailable(f"{path.name} was written to while it was read; it is judged once it holds still.")
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


def _verdict(outcome: ValidationResult) -> Verdict:
    violations = outcome.violations
    return {
        "contract": SCAN.id,
        "accepted": outcome.value is not None,
        "reason": "\n".join(str(violation) for violation in errors(violations)),
        "violations": [{**asdict(violation), "message": str(violation)} for violation in violations],
    }


def _kept(store: Store, copy: Path, card: Card | None, scan: Scan, key: str) -> Verdict:
    about = {"shape": list(scan.diffraction.shape), "source": scan.metadata.source, "licence": scan.metadata.licence}
    return _keep(store, copy, card, key) | about


def _keep(store: Store, copy: Path, card: Card | None, key: str) -> Verdict:
    with copy.open("rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    described = card.model_dump(mode="json", exclude_none=True) if card else {}
    ref = store.put(RawFile(_text(copy.name), content, described, SCAN.id), name=f"raw_scan/{key}")
    return {"digest": ref.digest, "nbytes": ref.nbytes, "new_bytes": ref.new_bytes}


def _text(filename: str) -> str:
    """Return a file name as text in one spelling; bytes of it that are no text are escaped."""
    return os.fsencode(same_name(filename)).decode("utf-8", "backslashreplace")


def stored_name(store: Store, key: str) -> str | None:
    """Return the name of the file that is stored under a key, or None."""
    with suppress(NotFound):
        return str(store.open(f"raw_scan/{key}").attrs["filename"])
    return None


def judge_stored(store: Store, raw: str) -> dict[str, Any]:
    """Judge a stored original again, by the contract of this version; see :func:`admit` for the answer."""
    return _verdict(_examine_stored(store, raw)[1])


def scan_of(store: Store, raw: str, name: str | None = None) -> Scan:
    """Return the scan in a stored original, read and converted by its contract.

    Args:
        name: what the scan is called; by default the plainest key of its file.

    Raises:
        ContractBroken: it does not keep the contract of this version.
    """
    filename, outcome = _examine_stored(store, raw)
    if not isinstance(outcome.value, Scan):
        raise broken(filename, errors(outcome.violations))
    metadata = outcome.value.metadata.model_copy(update={"name": name or scan_key(filename)})
    return replace(outcome.value, metadata=metadata)


def _examine_stored(store: Store, raw: str) -> tuple[str, ValidationResult]:
    stored: RawFile = store.get(raw)
    with tempfile.TemporaryDirectory() as folder:  # a near-duplicate has no file that could be opened in its place
        copy = Path(folder) / "raw"
        store.write_file(store.record(raw).children["content"], copy)
        return stored.filename, validate_scan(copy, Card.model_validate(stored.card) if stored.card else None)
