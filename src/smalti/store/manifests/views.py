"""Views of runs: entries below ``runs/`` by which a person who browses finds a run, its manifest and its data.

runs/by_project/churn/run_abc/manifest.json                 leads to manifests/run_abc.json
runs/by_project/churn/run_abc/inputs/training_data.arrow    leads to data/a3/a3f5.../data.arrow

In a folder the entries are relative symbolic links, in a bucket (and where a file system has no links) small JSON
documents that name the keys. Whatever they show is in the manifests, so they are not synced, no command but ``smalti
runs views`` reads them, and losing them loses nothing: ``smalti runs views --rebuild`` makes them again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from blake3 import blake3

from smalti import canonical
from smalti.digest import PREFIX
from smalti.errors import Refused
from smalti.store.documents import Documents
from smalti.store.long_work import in_order
from smalti.store.manifests.manifest import Manifest

FOLDER = "runs/"
MANIFEST = "manifest.json"
_INPUTS, _OUTPUTS, _STEPS = "inputs", "outputs", "steps"
_OURS = frozenset((_INPUTS, _OUTPUTS, _STEPS, MANIFEST))
_PLAIN = frozenset(" ._-+=,()@#")
_LONGEST_NBYTES = 160  # of one part of a path; file systems and buckets take 255, and suffixes are added
_SAFE = re.compile(rf"(?![. ])[A-Za-z0-9 ._+=,()@#-]{{1,{_LONGEST_NBYTES}}}(?<! )")
MOST_VALUES = 500  # of one run in one view; its manifest names all
_AT_ONCE = 16


def safe_part(text: str) -> str:
    """Return a text as one part of a path that names no other folder; different texts give different parts.

    >>> safe_part("customer churn/../2024"), safe_part("..")
    ('customer churn%2F..%2F2024', '%2E.')
    """
    if _SAFE.fullmatch(text):  # most are, and every run waits for this
        return text
    spelled = "".join(c if c.isalnum() or c in _PLAIN else _escaped(c) for c in text)
    if spelled[:1] in {".", " "}:
        spelled = _escaped(spelled[0]) + spelled[1:]
    if spelled[-1:] == " ":
        spelled = spelled[:-1] + _escaped(" ")
    if len(spelled.encode()) > _LONGEST_NBYTES:
        cut = spelled.encode()[: _LONGEST_NBYTES - 17].decode(errors="ignore")
        return f"{cut}%{blake3(text.encode('utf-8', 'surrogatepass')).hexdigest(length=8)}"
    return spelled or "%"


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def safe_folder(text: str) -> str:
    """Return a text as one part of a view: safe, and not what the folders of a run are called."""
    part = safe_part(text)
    return f"%{part}" if part in _OURS else part


def check_view(view: str) -> str:
    """Return ``view`` if runs can be shown below it.

    Raises:
        Refused: it is not parts of a path joined by ``/``, or would lead out of ``runs/`` or into the folder of a run.
    """
    if not _is_view(view):
        raise Refused(
            f"runs cannot be shown below {view!r}; write parts of letters, digits, spaces and any of "
            f"{''.join(sorted(_PLAIN - {' '}))} joined by '/', none of which begins with '.' or is one of "
            f"{', '.join(sorted(_OURS))}."
        )
    return view


def _is_view(view: object) -> bool:
    """Tell whether a view stays in ``runs/``; manifests that another store sends may say anything."""
    if not isinstance(view, str):
        return False
    parts = view.split("/")
    return not _OURS & set(parts) and all(part == "%" or _is_safe(part.replace("%", "")) for part in parts)


def _is_safe(part: str) -> bool:
    return part != "" and safe_part(part) == part


def places_of(manifest: Manifest) -> list[str]:
    """Return the folders below ``runs/`` that show a run, such as ``by_project/churn/run_abc``."""
    return [f"{view}/{safe_folder(manifest.run)}" for view in manifest.views if _is_view(view)]


def values_of(manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    """Yield of each value that is shown the folder in that of the run, what it is called there, and its address."""
    shown = 0
    for part in (manifest.whole, *manifest.steps):
        step = f"{_STEPS}/{safe_part(part.name)}/" if part.name else ""
        for folder, used in ((_INPUTS, part.inputs), (_OUTPUTS, part.outputs)):
            for name, address in sorted(used.items()):
                if (shown := shown + 1) > MOST_VALUES:
                    return
                yield f"{step}{folder}", safe_part(name), address


class Views(Protocol):
    """The entries below ``runs/`` of one store, each a path and what it leads to."""

    def entries(self, manifest: Manifest, key: str) -> dict[str, str]:
        """Return the entries that show a run: path below ``runs/`` -> what it leads to.

        Args:
            key: of its manifest.
        """

    def add(self, entries: Mapping[str, str]) -> None:
        """Make entries, in the place of others that lead elsewhere."""

    def there(self) -> dict[str, str]:
        """Return the entries that there are; files of others below ``runs/`` are none."""

    def remove(self, path: str) -> None:
        """Remove an entry, and the folders that it leaves empty."""

    def sweep(self) -> None:
        """Remove what was copied for entries of values that are not there any more."""


class ListedViews:
    """Entries that are JSON documents; each is created once."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def entries(self, manifest: Manifest, key: str) -> dict[str, str]:
        """Return path -> document."""
        return listed(manifest)

    def add(self, entries: Mapping[str, str]) -> None:
        """Create documents, several at a time: most of it is waiting for a server."""

        def create(path: str) -> None:
            if not self._documents.create(FOLDER + path, entries[path].encode()) and (
                self._documents.read(FOLDER + path) != entries[path].encode()
            ):
                self._documents.remove(FOLDER + path)
                self._documents.create(FOLDER + path, entries[path].encode())

        for _ in in_order(create, entries, min(_AT_ONCE, max(1, len(entries)))):
            pass

    def there(self) -> dict[str, str]:
        """Return path -> document."""
        keys = list(self._documents.keys(FOLDER))
        contents = in_order(self._documents.read, keys, _AT_ONCE)
        found = zip(keys, contents, strict=True)
        return {key.removeprefix(FOLDER): content.decode() for key, content in found if is_listed(content)}

    def remove(self, path: str) -> None:
        """Remove a document."""
        self._documents.remove(FOLDER + path)

    def sweep(self) -> None:
        """Do nothing: documents only name what they lead to."""


def listed(manifest: Manifest) -> dict[str, str]:
    """Return path -> document, for each entry that shows a run.

    A document outlives changes: that of a manifest names all keys that it may have.
    """
    entries: dict[str, str] = {}
    for place in places_of(manifest):
        keys = [f"{folder}/{manifest.run}.json" for folder in ("manifests", "released", "running")]
        entries[f"{place}/{MANIFEST}"] = _document({"one_of": keys, "run": manifest.run})
        for folder, name, address in values_of(manifest):
            digits = address.removeprefix(PREFIX)
            below = _document({"address": address, "below": f"data/{digits[:2]}/{digits}/"})
            entries[f"{place}/{folder}/{name}.json"] = below
    return entries


def _document(content: Mapping[str, str | list[str]]) -> str:
    return canonical.dumps(content).decode() + "\n"


def is_listed(content: bytes) -> bool:
    """Tell whether this is the document of an entry."""
    return content.startswith((b'{"address":"sha256:', b'{"one_of":["manifests/'))


@dataclass(frozen=True, slots=True)
class Mended:
    """What was done to views: entries that there are now, that were made or led elsewhere, and that were removed."""

    entries: int
    made: int
    removed: int


def mend(
    views: Views, manifests: Iterable[tuple[Manifest, str]], find: Callable[[str], tuple[Manifest, str] | None]
) -> Mended:
    """Make the entries that are missing or lead elsewhere, and remove those that no manifest asks for.

    Args:
        manifests: each with its key.
        find: returns that of one run, as it is now.
    """
    wanted: dict[str, str] = {}
    for manifest, key in manifests:
        wanted |= views.entries(manifest, key)
    there = views.there()
    wrong = {path: target for path, target in wanted.items() if there.get(path) != target}
    views.add(wrong)
    removed = 0
    for path in sorted(there.keys() - wanted.keys()):
        # A run may have been recorded meanwhile; its manifest is written before its entries.
        runs = (part.removeprefix("%") for part in path.split("/"))
        if not any((found := find(run)) and path in views.entries(*found) for run in runs):
            views.remove(path)
            removed += 1
    return Mended(len(wanted), len(wrong), removed)
