"""A file or folder of a user's becomes a dataset in the store: its card, its checksums, its value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.contracts.violation import shown
from smalti.datasets.card import DatasetCard, read_dataset_card
from smalti.datasets.fetchers import check_free
from smalti.datasets.files import checksums_of, value_of
from smalti.datasets.stored import keep_dataset
from smalti.errors import NotFound, Refused

if TYPE_CHECKING:
    from smalti.store import Ref, Store


def card_for(path: Path, fields: Mapping[str, Any], file: Path | None = None) -> DatasetCard:
    """Return the card of a file or folder: ``fields``, and what they leave out from a YAML file.

    Args:
        file: the YAML file; by default ``<path>.card.yaml`` where there is one.

    Raises:
        NotFound: there is no such ``file``.
        Refused: a field is missing or wrong; the message shows the card to write.
    """
    beside = path.with_name(f"{path.name}.card.yaml")
    source = file or (beside if beside.is_file() else None)
    known = read_dataset_card(source).to_document() if source else {}
    return DatasetCard(**{**known, **fields})


def add_dataset(store: Store, path: Path, card: DatasetCard) -> tuple[DatasetCard, Ref]:
    """Store a file or folder with its card; return the card with the SHA-256 of every file, and the reference.

    Raises:
        NotFound: there is nothing at ``path``, or a file that the card names is not there.
        Refused: a file is not the one that the card is about, or cannot be stored exactly; or the name is that of a
            dataset that comes with smalti.
        Unavailable: the machine did not let it be written.
    """
    check_free(card.name)
    described = with_checksums(card, path, checksums_of(path))
    return described, keep_dataset(store, described, value_of(path))


def with_checksums(card: DatasetCard, path: Path, found: Mapping[str, str]) -> DatasetCard:
    """Return the card with the checksums that were found; those it has already must hold; raises as ``add_dataset``."""
    whole = path.name in found and not path.is_dir()
    if card.sha256 and not whole:
        raise Refused(f"the card of {card.name} has the SHA-256 of one file, for a folder; write checksums instead.")
    wanted = {path.name: card.sha256} if card.sha256 else card.checksums
    for name, digest in wanted.items():
        if name not in found:
            raise NotFound(f"{shown(name)} is in the card of {card.name} and not in {shown(str(path))}; correct one.")
        if found[name] != digest:
            raise Refused(
                f"{shown(name)} has SHA-256 {found[name]}, and the card of {card.name} says {digest}; give the "
                "file that the card is about, or correct the card."
            )
    checked: dict[str, Any] = {"sha256": found[path.name]} if whole else {"checksums": dict(found)}
    return DatasetCard(**{**card.to_document(), **checked})
