"""What a crate says of the values and runs in it, checked for being what it should be before anything is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smalti import canonical
from smalti.contracts.violation import shown
from smalti.digest import is_address
from smalti.errors import Damaged, NotFound, Refused
from smalti.provenance.crate.layout import ABOUT, FORMAT, MANIFESTS, METADATA
from smalti.provenance.crate.source import CrateFiles, checked_path
from smalti.store.manifests.manifest import KEPT, RELEASED, Manifest, Step, checked, parse

if TYPE_CHECKING:
    from smalti.canonical import Json

_MOST_ABOUT_NBYTES = 512 * 1024 * 1024
_MOST_MANIFEST_NBYTES = 64 * 1024 * 1024
_TEXTS = ("created_at", "run_type", "status", "project", "parent", "started_at", "ended_at", "error", "released_at")
_BY_NAME = ("tags", "parameters", "metrics", "seeds", "code", "environment", "links")


@dataclass(frozen=True, slots=True)
class Kept:
    """A value in a crate, as the crate describes it.

    Attributes:
        header: its description as JSON has it: of a tree with the addresses of its children, of a document without what
            its file says.
        path: of its file; of a tree, of its folder.
        buffers: (offset, nbytes) of each buffer of content in the file.
        order: the names of a mapping as they were given.
    """

    header: dict[str, Json]
    path: str
    buffers: tuple[tuple[int, int], ...] = ()
    order: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return str(self.header.get("kind"))

    @property
    def children(self) -> dict[str, str]:
        """Child name -> address; empty unless this is a tree."""
        children = self.header.get("children", {}) if self.kind == "tree" else {}
        assert isinstance(children, dict)
        return {name: str(address) for name, address in children.items()}

    @property
    def nbytes(self) -> int:
        """Size of the content."""
        return sum(nbytes for _, nbytes in self.buffers)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A value that a crate only names.

    Attributes:
        address: ``sha256:<hex>``.
        called, what: as the crate has it; foreign text.
        store: where it was when the crate was written.
        gone: why it could not be read there; "" where it could.
    """

    address: str
    called: str
    what: str
    store: str
    gone: str


@dataclass(frozen=True, slots=True)
class About:
    """What a crate says it holds.

    Attributes:
        values: by address.
        elsewhere: values that it only names.
        manifests: of the runs.
        subject: the address of the value it is about; "" where it is about a run.
    """

    values: dict[str, Kept]
    elsewhere: tuple[Elsewhere, ...]
    manifests: tuple[Manifest, ...]
    subject: str


def read_about(files: CrateFiles) -> About:
    """Return what a crate says it holds.

    Raises:
        NotFound: it lacks a file that it needs.
        Refused: another tool wrote it, a newer version did, or it is not what it should be.
    """
    try:
        content = files.read(ABOUT, _MOST_ABOUT_NBYTES)
    except NotFound:
        raise _foreign(files) from None
    document = canonical.loads(content)
    if not isinstance(document, dict):
        raise _wrong(files, "the document is no object")
    if document.get("format") != FORMAT:
        raise Refused(
            f"{files.where} was written in format {shown(str(document.get('format'))[:40])}, and this version of "
            f"Smalti reads {FORMAT}; upgrade Smalti."
        )
    values = {address: _kept(files, address, said) for address, said in _mapping(files, document, "values").items()}
    store = _text(document.get("store"))
    elsewhere = tuple(
        _elsewhere(files, address, said, store) for address, said in _mapping(files, document, "referenced").items()
    )
    listed = document.get("manifests", [])
    if not isinstance(listed, list):
        raise _wrong(files, "its manifests are no list")
    manifests = tuple(_manifest(files, checked_path(path, files.where)) for path in listed)
    subject = document.get("subject")
    value = _text(subject.get("value")) if isinstance(subject, dict) else ""
    return About(values, elsewhere, manifests, value if is_address(value) else "")


def _foreign(files: CrateFiles) -> Refused | NotFound:
    try:
        files.read(METADATA, _MOST_ABOUT_NBYTES)
    except NotFound:
        return NotFound(f"{files.where} is no RO-Crate: it has neither {METADATA} nor {ABOUT}.")
    return Refused(
        f"{files.where} is a crate of another tool: it has no {ABOUT} that states digests, so nothing in it can "
        "be checked; keep it as it is instead: smalti put FOLDER --name NAME."
    )


def _elsewhere(files: CrateFiles, address: str, said: Any, store: str) -> Elsewhere:
    if not isinstance(said, dict):
        raise _wrong(files, f"nothing is said of {shown(address[:100])}")
    called, what, gone = (_text(said.get(key)) for key in ("called", "what", "gone"))
    return Elsewhere(_address(files, address), called, what, store, gone)


def _kept(files: CrateFiles, address: str, said: Any) -> Kept:
    _address(files, address)
    if not isinstance(said, dict) or not isinstance(header := said.get("header"), dict):
        raise _wrong(files, f"{address} has no header")
    if not isinstance(header.get("types", {}), dict):
        raise _wrong(files, f"the types in {address} are no object")
    path, spans = checked_path(said.get("path"), files.where), said.get("buffers")
    if header.get("kind") == "tree":
        children = header.get("children", {})
        if not isinstance(children, dict) or not all(isinstance(a, str) and is_address(a) for a in children.values()):
            raise _wrong(files, f"{address} is a tree without children")
        order = said.get("order", [])
        if not isinstance(order, list) or not all(isinstance(name, str) for name in order):
            raise _wrong(files, f"the order of {address} is no list of names")
        return Kept(header, path, order=tuple(order))
    if header.get("kind") == "json":
        return Kept(header, path)
    if not isinstance(spans, list) or not all(
        isinstance(span, list) and len(span) == 2 and all(type(one) is int and 0 <= one < 2**62 for one in span)
        for span in spans
    ):
        raise _wrong(files, f"{address} does not say where in its file the content lies")
    return Kept(header, path, tuple((offset, nbytes) for offset, nbytes in spans))


def _manifest(files: CrateFiles, path: str) -> Manifest:
    """Return the manifest in a file of the crate, every field of the type that it should be."""
    content = files.read(path, _MOST_MANIFEST_NBYTES)
    run = path.removeprefix(f"{MANIFESTS}/").removesuffix(".json")
    try:
        try:
            manifest = parse(content, f"{KEPT}{run}.json")
        except Damaged:
            manifest = parse(content, f"{RELEASED}{run}.json")
        used = [used for part in (manifest.whole, *manifest.steps) for used in (part.inputs, part.outputs)]
        sound = (
            all(isinstance(getattr(manifest, name), str) for name in _TEXTS)
            and all(isinstance(getattr(manifest, name), Mapping) for name in _BY_NAME)
            and all(map(_are_values, used))
            and all(_is_step(step) for step in manifest.steps)
            and all(isinstance(view, str) for view in manifest.views)
            and type(manifest.revision) is int
        )
        if not sound:
            raise _wrong(files, f"{shown(path)} is no manifest")
        return checked(manifest)
    except (Damaged, TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"{shown(path)} in {files.where} is no manifest that can be read ({error}).") from error


def _is_step(step: Step) -> bool:
    seconds = step.seconds
    return (
        isinstance(step.name, str)
        and isinstance(step.started_at, str)
        and (seconds is None or (isinstance(seconds, int | float) and not isinstance(seconds, bool)))
    )


def _are_values(used: Any) -> bool:
    return isinstance(used, Mapping) and all(
        isinstance(name, str) and isinstance(address, str) and is_address(address) for name, address in used.items()
    )


def _mapping(files: CrateFiles, document: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name, {})
    if not isinstance(found, dict):
        raise _wrong(files, f"{name} is no object")
    return found


def _address(files: CrateFiles, address: str) -> str:
    if not is_address(address):
        raise _wrong(files, f"{shown(address[:100])} is no digest")
    return address


def _text(value: Any) -> str:
    return value[:4096] if isinstance(value, str) else ""


def _wrong(files: CrateFiles, what: str) -> Refused:
    return Refused(f"{ABOUT} in {files.where} is not what a crate of Smalti says: {what}; get the crate again.")
