"""Data stored once by content under names, each with metadata of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from smalti import canonical, digest
from smalti.canonical import Json
from smalti.errors import Refused
from smalti.runs.data_reference import DataReference, reference_of
from smalti.store import Ref, Store

_ABOUT = "metadata-of"  # the name of what was said of a value under a name begins with this


class StoredData:
    """The part of a store of runs that keeps data.

    Attributes:
        store: where it lies.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def store_data(self, data: Any, name: str = "data", metadata: Mapping[str, Any] | None = None) -> DataReference:
        """Store data, once however often and under however many names, and return a reference to it.

        Args:
            data: anything that a store takes: a table, an array, bytes, JSON, a mapping of such values, ...
            metadata: JSON that is kept with this name of this data.

        Raises:
            Refused: no codec stores it exactly, or the name cannot be one.
            Unavailable: the machine did not let it be written.
        """
        said = canonical.normalise(metadata, f"the metadata of {name!r}") if metadata else None
        ref = self.store.put(data, name)
        if said is not None:
            self.store.put({"of": ref.digest, "metadata": said}, f"{_ABOUT}/{name}")
        return self.get_reference(name)

    def get_reference(self, ref: DataReference | Ref | str) -> DataReference:
        """Return what is known of stored data, given its name, its hash or another reference.

        Raises:
            NotFound, Ambiguous: nothing answers to it, or several things.
        """
        known = self.as_ref(ref)
        if isinstance(ref, str) and not digest.is_address(ref):
            try:
                *_, latest = self.store.versions(ref)
            except (Refused, ValueError):  # not a name, or one of nothing
                pass
            else:
                return self._described(latest.address, ref, latest.at, self._metadata(ref, latest.address))
        address = self.store.resolve(known)
        return self._described(address, ref.name if isinstance(ref, DataReference) else address, "")

    def retrieve_data(self, ref: DataReference | Ref | str) -> Any:
        """Return stored data, every byte verified.

        Raises:
            NotFound, Ambiguous: nothing answers to the reference, or several things.
            Damaged: the stored bytes are not what was stored.
        """
        return self.store.get(self.as_ref(ref))

    def look(self, address: str, name: str, created_at: str) -> DataReference:
        """Return a reference to what lies at an address."""
        return self._described(address, name, created_at)

    def _described(
        self, address: str, name: str, created_at: str, metadata: Mapping[str, Json] | None = None
    ) -> DataReference:
        record = self.store.record(address)
        is_far = "://" in self.store.place
        has_file = not record.is_inline and (is_far or self.store.file(address) is not None)
        return reference_of(record, name, created_at, has_file, metadata)

    def _metadata(self, name: str, address: str) -> dict[str, Json]:
        """Return what was said of a value under a name, the latest."""
        for version in reversed(self.store.versions(f"{_ABOUT}/{name}")):
            said = self.store.get(version.address)
            if said["of"] == address:
                return cast(dict[str, Json], said["metadata"])
        return {}

    def as_ref(self, ref: DataReference | Ref | str) -> Ref | str:
        """Return a reference in a form that the store resolves: of 64 digits, also where the data is gone."""
        if isinstance(ref, DataReference):
            return ref.digest
        if isinstance(ref, str) and digest.is_address(digest.PREFIX + ref):
            return digest.PREFIX + ref
        return ref
