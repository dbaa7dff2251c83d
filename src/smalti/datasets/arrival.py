"""A raw file arrives: it is copied aside, the copy is judged, and only an accepted copy is stored."""

from __future__ import annotations

import hashlib
import mmap
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from smalti.codecs.rawfile import RawFile
from smalti.codecs.scan import Scan
from smalti.contracts import SCAN, Outcome, Violation, examine
from smalti.contracts.card import Card
from smalti.contracts.violation import broken, errors
from smalti.datasets.cards import card_for
from smalti.errors import ContractBroken, Refused, SmaltiError
from smalti.products import object_pixel_m
from smalti.store import Store
from smalti.store.commit import machine_errors, staged_folder

_FORMS = re.compile(r"\.npz(?:\.(?:bz2|gz))?$", re.IGNORECASE)
_LONGEST_KEY = 100


def scan_key(filename: str) -> str:
    """Return the key under which the scan in a file is known: plain text that is safe in paths and names.

    A name that had to be changed gets six digits of its digest, so that two files never share a key.

    >>> scan_key("siemens-star-small.npz.bz2"), scan_key("Läufe 7.npz")
    ('siemens-star-small', 'Laufe-7-2ddd97')
    """
    stem = _FORMS.sub("", filename)
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    key = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).lstrip("._-")[:_LONGEST_KEY]
    if key == stem:
        return key
    mark = hashlib.sha256(filename.encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"{key}-{mark}" if key else mark


def admit(request: Mapping[str, Any], _report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Judge the file ``request["path"]`` and keep it in the store ``request["store"]`` if it is accepted.

    Returns:
        ``key``, ``contract``, ``accepted``, ``reason`` (sentences, "" when accepted) and ``violations``;
        of an accepted file also ``digest``, ``nbytes`` and ``new_bytes`` of the stored original, ``shape``,
        ``source``, ``licence``.
    """
    from smalti import open_store

    path = Path(request["path"])
    store = open_store(request["store"])
    key = scan_key(path.name)
    try:
        card = card_for(path)
        with machine_errors(f"copying {path.name} aside"), staged_folder(Path(request["store"]) / "tmp") as folder:
            copy = folder / path.name
            shutil.copyfile(path, copy)
            outcome = examine(copy, card)
            kept = _keep(store, copy, card, outcome.scan, key) if outcome.scan else {}
    except ContractBroken as error:  # the card beside the file, or what stands where the file should
        outcome, kept = Outcome(None, tuple(v for v in error.violations if isinstance(v, Violation))), {}
    except SmaltiError as error:
        return {"key": key, "contract": SCAN.id, "accepted": False, "reason": str(error), "violations": []}
    return {"key": key, **_verdict(outcome), **kept}


def _verdict(outcome: Outcome) -> dict[str, Any]:
    violations = (*outcome.violations, *(_unfit_for_a_product(outcome.scan) if outcome.scan else ()))
    return {
        "contract": SCAN.id,
        "accepted": outcome.scan is not None,
        "reason": "\n".join(str(violation) for violation in errors(violations)),
        "violations": [{**asdict(violation), "message": str(violation)} for violation in violations],
    }


def _unfit_for_a_product(scan: Scan) -> Iterator[Violation]:
    """A scan without physics can be reconstructed, but a person should hear now that no product will come of it."""
    try:
        object_pixel_m(scan)
    except Refused:
        found, wanted = "no object pixel size", "physics in the card that give one, for the product's metres"
        remedy = "state object_pixel_size_m, or photon_energy_eV, detector_distance_m and detector_pixel_size_m"
        yield Violation("physics.pixel_size", "the scan", found, wanted, remedy, severity="warning")


def _keep(store: Store, copy: Path, card: Card | None, scan: Scan, key: str) -> dict[str, Any]:
    with copy.open("rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    described = card.model_dump(mode="json", exclude_none=True) if card else {}
    ref = store.put(RawFile(copy.name, content, described), name=f"raw_scan/{key}")
    return {
        "digest": ref.digest,
        "nbytes": ref.nbytes,
        "new_bytes": ref.new_bytes,
        "shape": list(scan.diffraction.shape),
        "source": scan.metadata.source,
        "licence": scan.metadata.licence,
    }


def judge_stored(store: Store, raw: str) -> dict[str, Any]:
    """Judge a stored original again, by the contract of this version; see :func:`admit` for the answer."""
    return _verdict(_examine_stored(store, raw)[1])


def scan_of(store: Store, raw: str) -> Scan:
    """Return the scan in a stored original, read and converted by its contract, named by its key.

    Raises:
        ContractBroken: it does not keep the contract of this version.
    """
    filename, outcome = _examine_stored(store, raw)
    if outcome.scan is None:
        raise broken(filename, errors(outcome.violations))
    metadata = outcome.scan.metadata.model_copy(update={"name": scan_key(filename)})
    return replace(outcome.scan, metadata=metadata)


def _examine_stored(store: Store, raw: str) -> tuple[str, Outcome]:
    stored: RawFile = store.get(raw)
    with tempfile.TemporaryDirectory() as folder:  # a near-duplicate has no file that could be opened in its place
        copy = Path(folder) / "raw"
        store.write_file(store.record(raw).children["content"], copy)
        return stored.filename, examine(copy, Card.model_validate(stored.card) if stored.card else None)
