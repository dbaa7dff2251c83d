"""What is known of a value without reading its content: kind, size, source file, licence, contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smalti.errors import Damaged, NotFound

if TYPE_CHECKING:
    from smalti.store import Record, Store

_CARDS = ("card", "metadata")  # attributes that say more of a value, as a raw file and a dataset have them
_LICENCE = ("licence", "license")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a value.

    Attributes:
        address: ``sha256:<hex>``.
        what: its type or kind, with dtype and shape, or rows and columns; "" where it is gone.
        nbytes: size of the content; None where it is gone.
        filename: of the file that it was, where that is known.
        file_sha256: plain SHA-256 of that file, hexadecimal.
        licence, source: as its card says.
        contract: the contract and version it passed when it was stored.
        gone: why it cannot be read any more; "" where it can.
    """

    address: str
    what: str = ""
    nbytes: int | None = None
    filename: str = ""
    file_sha256: str = ""
    licence: str = ""
    source: str = ""
    contract: str = ""
    gone: str = ""


def facts_of(store: Store, address: str) -> Facts:
    """Return what is known of a value; where it was collected or is damaged, that is said in ``gone``."""
    try:
        record = store.record(address)
        content = store.record(record.children["content"]) if _is_raw(record) else record
    except (NotFound, Damaged) as error:
        return Facts(address, gone=str(error))
    attrs = attributes_of(record)
    sha256 = content.header.get("sha256")
    return Facts(
        address=address,
        what=described(record),
        nbytes=record.nbytes,
        filename=_text(attrs.get("filename")) if _is_raw(record) else "",
        file_sha256=sha256 if isinstance(sha256, str) else "",
        licence=next((text for key in _LICENCE if (text := _said(attrs, key))), ""),
        source=_said(attrs, "source"),
        contract=_text(attrs.get("contract")),
    )


def described(record: Record) -> str:
    """Return the type or kind of a value, with dtype and shape, or rows and columns."""
    header = record.header
    what = ["scalar" if header.get("scalar") else _text(header.get("type")) or record.kind]
    if isinstance(shape := header.get("shape"), list):
        dtype = header.get("dtype")
        what.append(
            f"{dtype if isinstance(dtype, str) else 'structure'} {'' if header.get('scalar') else tuple(shape)}"
        )
    if isinstance(columns := header.get("columns"), list):
        what.append(f"{header.get('rows')} rows x {len(columns)} columns")
    if isinstance(tensors := header.get("tensors"), dict):
        what.append(f"{len(tensors)} tensors")
    return " ".join(what).rstrip()


def attributes_of(record: Record) -> dict[str, Any]:
    """Return the attributes of a tree; none of another value."""
    attrs = record.header.get("attrs")
    return dict(attrs) if isinstance(attrs, dict) else {}


def _is_raw(record: Record) -> bool:
    return record.header.get("type") == "raw" and "content" in record.children


def _said(attrs: Mapping[str, Any], key: str) -> str:
    """Return a text among the attributes, or in the card among them."""
    cards = [card for name in _CARDS if isinstance(card := attrs.get(name), Mapping)]
    return next((text for said in (attrs, *cards) if (text := _text(said.get(key)))), "")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
