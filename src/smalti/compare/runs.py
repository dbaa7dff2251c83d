"""What differs between two runs: what is said of them, and each value that both read or wrote under one name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from smalti import canonical
from smalti.compare.differences import Comparison, Difference
from smalti.compare.documents import compare_documents
from smalti.compare.values import compare, described
from smalti.digest import PREFIX, is_address
from smalti.errors import NotFound
from smalti.store.long_work import OnProgress
from smalti.store.manifests.manifest import Manifest

if TYPE_CHECKING:
    from smalti.store import Store

RUN = "run:"  # before what a run is called; no name of a value has a colon
_OF_ITSELF = ("run", "created_at", "started_at", "ended_at", "revision", "released_at", "views", "links", "notes")
_USED = ("inputs", "outputs", "steps")


def compare_runs(
    store: Store, before: str, after: str, *, key: str | Sequence[str] = (), progress: OnProgress | None = None
) -> Comparison:
    """Compare two runs by what they are called: parameters, metrics, code and so on, then their inputs and outputs.

    What tells any two runs apart (names, times, where they are shown, links, notes) is left out. Values of steps are
    compared as inputs and outputs of the run.

    Raises:
        NotFound: there is no such run.
        Refused, Damaged: see :func:`smalti.compare.compare`.
    """
    one, other = store.manifest(before), store.manifest(after)
    texts = [_said(manifest) for manifest in (one, other)]
    values = [_values(manifest) for manifest in (one, other)]
    differences = list(_differences(store, values[0], values[1], key, progress))
    if texts[0] != texts[1]:
        content = compare_documents(texts[0], texts[1])
        differences.insert(0, Difference("", "changed", "what is said of the run", content=content))
    same = sum(values[0][name] == values[1].get(name) for name in values[0])
    digests = [_digest([text, used]) for text, used in zip(texts, values, strict=True)]
    return Comparison(digests[0], digests[1], f"runs {before} and {after}", tuple(differences), same)


def _said(manifest: Manifest) -> Any:
    """Return what is said of a run but its values, as JSON."""
    said = {name: value for name, value in asdict(manifest).items() if name not in {*_OF_ITSELF, *_USED}}
    for name in ("code", "environment"):
        said[name] = {field: value for field, value in said[name].items() if not _is_value(value)}
    said["environment"].pop("pid", None)
    return canonical.normalise({name: value for name, value in said.items() if value})


def _values(manifest: Manifest) -> dict[str, str]:
    """Return the address of each value by where the run has it, such as ``inputs/training_data``."""
    named: dict[str, Mapping[str, Any]] = {name: getattr(manifest, name) for name in ("inputs", "outputs")}
    named |= {name: getattr(manifest, name) for name in ("code", "environment")}
    return {
        f"{role}/{name}": str(value)
        for role, used in named.items()
        for name, value in sorted(used.items())
        if _is_value(value)
    }


def _is_value(told: object) -> bool:
    return isinstance(told, str) and is_address(told)


def _differences(
    store: Store,
    one: Mapping[str, str],
    other: Mapping[str, str],
    key: str | Sequence[str],
    progress: OnProgress | None,
) -> Iterator[Difference]:
    for path in sorted(one.keys() | other.keys()):
        before, after = one.get(path), other.get(path)
        if before == after:
            continue
        try:
            if before is None or after is None:
                what = described(store.record(before or after or ""))
                yield Difference(path, "added" if before is None else "removed", what, before, after)
                continue
            for found in compare(store, before, after, key=key, progress=progress).differences:
                yield replace(found, path=f"{path}/{found.path}" if found.path else path)
        except NotFound as error:  # released and collected: that they differ is known all the same
            yield Difference(path, "changed", "what is gone", before, after, notes=(str(error),))


def _digest(document: Any) -> str:
    return PREFIX + hashlib.sha256(canonical.text(document, sort=True)).hexdigest()
