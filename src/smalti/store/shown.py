"""How a store shows itself in a notebook: its names, what each stands for, and its size."""

from __future__ import annotations

from smalti.errors import SmaltiError
from smalti.notebook import Entry, html, readable
from smalti.store.names import Names
from smalti.store.objects.object_store import ObjectStore

_MOST = 50


def store_html(place: str, names: Names, objects: ObjectStore) -> str:
    """Return the first 50 names of a store, in order, as HTML; never raises, reads no content."""
    try:
        latest = {key.rsplit("/", 1)[0]: key for key in names.keys()}  # noqa: SIM118 - these are no keys of a mapping
        entries = [_entry(names, objects, folder, key) for folder, key in list(latest.items())[:_MOST]]
        what = f"store, {len(latest)} {'name' if len(latest) == 1 else 'names'}"
        return html(Entry(place, what, None, tuple(entries), len(latest) - len(entries)))
    except Exception as error:  # in a notebook, a store that cannot be listed is still there to be used
        return html(Entry(place, f"store, cannot be listed: {error}"))


def _entry(names: Names, objects: ObjectStore, folder: str, key: str) -> Entry:
    try:
        named = names.read(key)
        record = objects.record(named.address)
    except SmaltiError as error:
        return Entry(folder.partition("/")[2], f"cannot be read: {error}")
    what = record.header.get("type") or record.kind
    return Entry(named.name, f"{what}, {readable(record.nbytes)}, version {named.version}")
