"""Datasets in a store, each with its card, under ``dataset/<name>`` or ``dataset/<name>/<split>``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smalti.contracts.violation import shown
from smalti.datasets.card import DatasetCard
from smalti.datasets.names import normal_name
from smalti.errors import Damaged, NotFound, Refused

if TYPE_CHECKING:
    from smalti.store import Ref, Store

_FOLDER = "dataset/"


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """One dataset, or one split of it, as a store has it.

    Attributes:
        name: of the dataset.
        split: the split that it is, or None for all of it.
        reference: its name in the store.
    """

    name: str
    split: str | None
    reference: str


def store_name(name: str, split: str | None = None) -> str:
    """Return the name that a dataset has in a store.

    >>> store_name("House Prices", "train")
    'dataset/house-prices/train'
    """
    return _FOLDER + normal_name(name) + (f"/{normal_name(split)}" if split else "")


def keep_dataset(store: Store, card: DatasetCard, value: Any, split: str | None = None) -> Ref:
    """Store a dataset with its card; its value is found as ``data``, the card as ``card``.

    Raises:
        Refused: no codec can store the value exactly.
        Unavailable: the machine did not let it be written.
    """
    return store.put({"data": value, "card": card.to_document()}, store_name(card.name, split))


def stored_datasets(store: Store) -> Iterator[StoredDataset]:
    """Yield the datasets in a store, in the order of their names; none where there is no store yet."""
    for named in store.names() if store.exists() else ():
        if named.name.startswith(_FOLDER):
            name, _, split = named.name.removeprefix(_FOLDER).partition("/")
            yield StoredDataset(name, split or None, named.name)


def stored_value(store: Store, name: str, split: str | None = None) -> Any:
    """Return the value of a stored dataset, verified.

    Raises:
        NotFound: it is not there.
        Refused: what has its name is no dataset.
        Damaged: the stored bytes are not what was stored.
    """
    value = store.get(store_name(name, split))
    if not isinstance(value, Mapping) or "data" not in value:
        raise _no_dataset(store, name, split)
    return value["data"]


def stored_card(store: Store, name: str) -> DatasetCard:
    """Return the card of a stored dataset, or of one of its splits where only those are stored.

    Raises:
        NotFound: it is not there.
        Refused: what has its name is no dataset.
        Damaged: its card is not one.
    """
    wanted = normal_name(name)
    of_it = [one for one in stored_datasets(store) if one.name == wanted]
    if not of_it:
        raise NotFound(f"{shown(name)} is no dataset in the store at {store.place}.")
    card = getattr(store.open(of_it[0].reference), "attrs", {}).get("card")
    if not isinstance(card, Mapping):
        raise _no_dataset(store, name, of_it[0].split)
    try:
        return DatasetCard(**card)
    except Refused as error:
        raise Damaged(f"the dataset {of_it[0].reference} in {store.place} has no sound card: {error}") from error


def _no_dataset(store: Store, name: str, split: str | None) -> Refused:
    return Refused(f"{store_name(name, split)} in {store.place} is not a dataset with its card; add it again.")
