"""What is known of stored data without reading it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from smalti.canonical import Json
from smalti.digest import PREFIX
from smalti.errors import NotFound
from smalti.store import Record


@dataclass(frozen=True, slots=True)
class DataReference:
    """One stored value under one name; equal data has equal hashes, whatever it is called.

    Attributes:
        hash: 64 hexadecimal digits of the content's address.
        name: what it is called here.
        storage_path: below the store, the file that any tool opens; the folder of what has none of its own: a tree, a
            JSON document, a near-duplicate, a value of up to 4 KiB. "" where the data is not in the store any more.
        size_bytes: of the content; None where the data is not there any more.
        format: the ending of its file, such as npy, arrow or json; ``tree`` for a mapping of values.
        shape: of an array; rows and columns of a table.
        columns: names, of a table.
        dtype: of an array.
        created_at: when it was stored under that name or in that run, UTC, ISO 8601.
        metadata: what was said of it when it was stored under that name.
    """

    hash: str
    name: str
    storage_path: str
    size_bytes: int | None
    format: str
    shape: tuple[int, ...] | None = None
    columns: tuple[str, ...] | None = None
    dtype: str | None = None
    created_at: str = ""
    metadata: Mapping[str, Json] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The address, ``sha256:<hex>``."""
        return PREFIX + self.hash

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        found = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> DataReference:
        """Return the reference that ``to_dict`` gave."""
        lists = {name: tuple(document[name]) for name in ("shape", "columns") if document.get(name) is not None}
        return cls(**{**document, **lists})


def reference_of(
    record: Record, name: str, created_at: str, has_file: bool = True, metadata: Mapping[str, Json] | None = None
) -> DataReference:
    """Return what a record says.

    Args:
        has_file: whether the value has an ordinary file of its own.
    """
    header = record.header
    digits = record.address.removeprefix(PREFIX)
    folder = f"data/{digits[:2]}/{digits}"
    shape, columns, dtype, rows = (header.get(one) for one in ("shape", "columns", "dtype", "rows"))
    names = tuple(_name_of(column) for column in columns) if isinstance(columns, list) else None
    if names is not None and isinstance(rows, int):
        shape = [rows, len(names)]
    return DataReference(
        hash=digits,
        name=name,
        storage_path=f"{folder}/{record.filename}" if record.filename and has_file else folder,
        size_bytes=record.nbytes,
        format=record.ending.removeprefix(".") or record.kind,
        shape=tuple(int(n) for n in shape) if isinstance(shape, list) else None,
        columns=names,
        dtype=dtype if isinstance(dtype, str) else None,
        created_at=created_at,
        metadata=metadata or {},
    )


def _name_of(column: Json) -> str:
    return str(column["name"]) if isinstance(column, dict) else str(column)


class References(Mapping[str, DataReference]):
    """What a run called its data -> a reference, looked up in the store when it is asked for."""

    def __init__(self, addresses: Mapping[str, str], created_at: str, look: Callable[[str, str, str], DataReference]):
        self._addresses = addresses
        self._created_at = created_at
        self._look = look

    def __getitem__(self, name: str) -> DataReference:
        address = self._addresses[name]
        try:
            return self._look(address, name, self._created_at)
        except NotFound:  # released and collected
            return DataReference(address.removeprefix(PREFIX), name, "", None, "", created_at=self._created_at)

    def __iter__(self) -> Iterator[str]:
        return iter(self._addresses)

    def __len__(self) -> int:
        return len(self._addresses)

    def __repr__(self) -> str:
        return f"{{{', '.join(f'{n!r}: {a[: len(PREFIX) + 8]}...' for n, a in self._addresses.items())}}}"
