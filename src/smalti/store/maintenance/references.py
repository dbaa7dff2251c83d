"""What refers to objects, name by name: read, and repaired from another store, as far as that goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from typing import TypeVar

from smalti.errors import Damaged, NotFound, Refused, Unavailable
from smalti.store.documents import Documents
from smalti.store.format.sealed import seal
from smalti.store.maintenance.problems import Problem, Wanted
from smalti.store.manifests import Manifests, now
from smalti.store.manifests.manifest import RELEASED, dump, run_of
from smalti.store.names import Names, key_of
from smalti.store.pins import Pins

Reference = TypeVar("Reference")
Sound = Callable[[Documents, str], bytes]  # of another store's documents and a key: what belongs under it


def references(documents: Documents, source: Documents | None, problems: list[Problem]) -> Wanted:
    """Return what needs each address: names, pins, runs. What cannot be read is added to ``problems``.

    Args:
        source: what is damaged is replaced by what lies there; None: it is left as it is.
    """
    names, pins, manifests = Names(documents), Pins(documents), Manifests(documents)
    wanted: Wanted = defaultdict(set)
    seen: dict[str, list[int]] = defaultdict(list)

    def listed(keys: Iterable[str], folder: str) -> list[str]:
        try:
            return list(keys)
        except Unavailable as error:  # what is in a folder that cannot be listed cannot be known
            problems.append(Problem(folder, str(error)))
            return []

    def readable(
        folder: str, keys: Iterable[str], read: Callable[[str], Reference], sound: Sound
    ) -> Iterator[Reference]:
        for key in listed(keys, folder):
            try:
                yield read(key)
            except NotFound:  # taken away meanwhile
                continue
            except (Refused, Unavailable) as error:  # a newer version's, or unreadable; what it keeps cannot be known
                problems.append(Problem(key, str(error)))
            except Damaged as error:
                why = _restore_document(documents, source, key, sound) if source else ""
                problems.append(Problem(key, f"{error}{why or ''}", repaired=why is None))
                if why is None:
                    yield read(key)

    for version in readable("names/", names.keys(), names.read, _sound_name):
        wanted[version.address].add(version.name)
        seen[version.name].append(version.version)
    for address in readable("pins/", pins.keys(), pins.read, _sound_pin):
        wanted[address].add("a pin")
    for manifest in readable("manifests/", manifests.keys(), manifests.read, _sound_manifest):
        for address in manifest.addresses():
            wanted[address].add(f"the run {manifest.run}")
    for name, versions in seen.items():
        for gap in sorted(set(range(min(versions), max(versions))) - set(versions)):
            why = _restore_missing(documents, source, key_of(name, gap)) if source else ""
            what = f"version {gap} of the name {name!r} is missing; restore it.{why or ''}"
            problems.append(Problem(key_of(name, gap), what, repaired=why is None))
            if why is None:
                wanted[names.read(key_of(name, gap)).address].add(name)
    return wanted


def _restore_document(documents: Documents, source: Documents, key: str, sound: Sound) -> str | None:
    """Put what another store has in the place of a damaged document; return why that failed, None where it did not."""
    try:
        if documents.replace(key, sound(source, key), documents.read(key)):
            return None
        return " It could not be repaired: it was changed meanwhile."
    except (NotFound, Damaged, Refused, Unavailable) as error:
        return f" It could not be repaired: {error}"


def _restore_missing(documents: Documents, source: Documents, key: str) -> str | None:
    """Write what another store has of a name; return why that failed, None where it did not."""
    try:
        documents.create(key, _sound_name(source, key))
        return None
    except (NotFound, Damaged, Refused, Unavailable) as error:
        return f" It could not be repaired: {error}"


def _sound_name(source: Documents, key: str) -> bytes:
    return seal(asdict(Names(source).read(key)))


def _sound_pin(source: Documents, key: str) -> bytes:
    return seal({"address": Pins(source).read(key)})


def _sound_manifest(source: Documents, key: str) -> bytes:
    """Return what the other store says of a run; whether it is released, the key here says."""
    manifest = Manifests(source).get(run_of(key))
    released_at = (manifest.released_at or now()) if key.startswith(RELEASED) else ""
    return dump(replace(manifest, released_at=released_at))
