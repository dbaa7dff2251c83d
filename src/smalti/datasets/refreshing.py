"""Datasets of others, fetched again: which can be, and what came of it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smalti.datasets.card import DatasetCard
from smalti.datasets.fetchers import Fetcher, card_of, fetch_dataset, fetcher_named, fetchers
from smalti.datasets.stored import keep_dataset, store_name, stored_datasets
from smalti.errors import NotFound, Refused

if TYPE_CHECKING:
    from smalti.store import Ref, Store

_MADE_HERE = "smalti."  # what a card says of a dataset that is computed


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A dataset that was fetched again.

    Attributes:
        card: what is said about it.
        ref: the dataset with its card, as it is stored.
        changed: whether it is another than the one that was stored before, or the first.
    """

    card: DatasetCard
    ref: Ref
    changed: bool


def refreshable(files: Path | None = None) -> dict[str, Fetcher]:
    """Return the datasets that have a source which can be asked again, by normal name.

    These are the built-in ones that are not computed and not read from a file of the user's, and those that
    ``register_dataset`` registers in the dataset files below ``files``, which are run.
    """
    if files is not None and files.is_dir():
        from smalti.datasets.competitions.discovery import discover

        discover(files)
    return {name: fetcher for name, fetcher in fetchers().items() if _has_source(fetcher)}


def _has_source(fetcher: Fetcher) -> bool:
    try:
        return not fetcher.from_your_file and not card_of(fetcher).source.startswith(_MADE_HERE)
    except (NotFound, Refused):  # it has no card yet, so it cannot be fetched
        return False


def fetched_before(store: Store, names: set[str]) -> set[str]:
    """Return which of some datasets, by normal name, are in a store whole."""
    return names & {one.name for one in stored_datasets(store) if one.split is None}


def refresh(store: Store, name: str) -> Refreshed:
    """Ask the source of a dataset for what it has now and store that with the card; equal content adds nothing.

    A function that takes ``refresh`` is told to ask its source anew, and to transfer only what changed; any other is
    simply called.

    Raises:
        NotFound: there is no such dataset, or not at its source.
        Refused: it is read from a file of the user's or computed, or its source does not give it.
        Unavailable: it could not be had now.
    """
    fetcher = fetcher_named(name)
    if not _has_source(fetcher):
        raise Refused(f"{fetcher.name} has no source to ask again; fetch it: smalti datasets fetch {fetcher.name}.")
    takes_refresh = "refresh" in inspect.signature(fetcher.function).parameters
    value = fetch_dataset(name, refresh=True) if takes_refresh else fetch_dataset(name)
    try:
        before = store.resolve(store_name(fetcher.name))
    except NotFound:
        before = None
    ref = keep_dataset(store, card := card_of(fetcher), value)
    return Refreshed(card, ref, ref.digest != before)
