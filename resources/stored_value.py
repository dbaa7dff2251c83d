"""Storing the value of an asset as the next version of its name, and what a person is shown of it."""

import time
from contextlib import suppress
from typing import Any

import dagster as dg
import numpy as np

from resources.run_manifests import DIGEST, manifest_path
from smalti import Ref, Store
from smalti.compare import compare, summary
from smalti.errors import NotFound, SmaltiError
from smalti.notebook.words import readable

_COMPARED_NBYTES = 256 * 1024 * 1024  # what is larger is compared by `smalti diff`, when somebody wants to know
_PARTS_SHOWN = 12  # so many fit into the 1,000 characters that Dagster shows at once


def put_version(
    log: dg.DagsterLogManager, store: Store, name: str, value: Any, run_id: str
) -> tuple[Ref, dict[str, Any]]:
    """Store a value under a name (a ``Ref`` says that it is stored already); return its reference and its metadata."""
    start, before = time.perf_counter(), None
    with suppress(NotFound):
        before = store.resolve(name)
    ref = store.put(value, name=name)
    added = ref.new_bytes + (value.new_bytes if isinstance(value, Ref) else 0)  # a child process stored it
    seconds = float(f"{time.perf_counter() - start:.3g}")
    cost = size(ref.nbytes, added) | {"storing_seconds": seconds}
    return ref, _value_metadata(store, ref, run_id) | cost | _changes(log, store, before, ref)


def size(nbytes: int, new_bytes: int) -> dict[str, Any]:
    """Return the size of a value, what storing it took and what keeping every piece once saved, in words and bytes."""
    saved = max(0, nbytes - new_bytes)
    told = f"{readable(nbytes)}, {readable(new_bytes)} newly stored, {readable(saved)} saved"
    return {"size": told, "nbytes": nbytes, "new_bytes": new_bytes, "saved_nbytes": saved}


def _changes(log: dg.DagsterLogManager, store: Store, before: str | None, ref: Ref) -> dict[str, Any]:
    """Return what changed since the version before; it is for looking, so what cannot be told fails nothing."""
    if before is None or before == ref.digest:
        return {} if before is None else {"changes": dg.MetadataValue.md("Equal to the version before.")}
    if ref.nbytes > _COMPARED_NBYTES:
        return {"changes": dg.MetadataValue.md(f"`smalti diff {before[:19]} {ref.digest[:19]}` tells.")}
    try:
        told = summary(compare(store, before, ref.digest))
    except SmaltiError as error:
        log.warning(f"what changed since the version before cannot be told: {error}")
        return {}
    return {"changes": dg.MetadataValue.md(told)}


def _value_metadata(store: Store, ref: Ref, run_id: str) -> dict[str, Any]:
    """Return what a person wants to know of a stored value: digest, kind, shape or parts, size, and who recorded it."""
    record = store.record(ref)
    metadata: dict[str, Any] = {
        DIGEST: dg.MetadataValue.path(ref.digest),  # a path is shown with a button that copies it whole
        "kind": dg.MetadataValue.text(str(record.header.get("type") or record.kind)),
        "manifest": dg.MetadataValue.path(manifest_path(store, run_id)),
    }
    shape = record.header.get("shape")
    if isinstance(shape, list):
        metadata["shape"] = dg.MetadataValue.text(_array(shape, record.header["dtype"]))
    if record.children:
        metadata["parts"] = dg.MetadataValue.md(_parts_table(store, record.children))
    return metadata


def _array(shape: list[int], dtype: str) -> str:
    """Return type and shape of an array in words.

    >>> _array([516, 128, 128], "<f4"), _array([], "<f8")
    ('float32 516 x 128 x 128', 'float64')
    """
    return f"{np.dtype(dtype).name} {' x '.join(map(str, shape))}".rstrip()


def _parts_table(store: Store, children: dict[str, str]) -> str:
    rows = ["| part | kind | size | digest |", "|---|---|---|---|"]
    for name, address in list(children.items())[:_PARTS_SHOWN]:
        child = store.record(address)
        shape = child.header.get("shape")
        described = _array(shape, child.header["dtype"]) if isinstance(shape, list) else child.kind
        shown, size = name.replace("`", "").replace("|", ""), readable(child.nbytes)
        rows.append(f"| `{shown}` | {described} | {size} | `{address[:19]}` |")
    if len(children) > _PARTS_SHOWN:
        rows.append(f"| and {len(children) - _PARTS_SHOWN} more | | | |")
    return "\n".join(rows)
