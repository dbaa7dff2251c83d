"""Datasets by name: functions that fetch one, each with a card, and ``fetch_dataset``, which calls them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from smalti.contracts.violation import shown
from smalti.datasets.card import DatasetCard, card_to_write, read_dataset_card
from smalti.datasets.names import normal_name, unknown
from smalti.datasets.splits import ROW_SPLITS, split_in_three
from smalti.datasets.stored import stored_datasets, stored_value
from smalti.errors import NotFound, Refused

if TYPE_CHECKING:
    from smalti.store import Store

F = TypeVar("F", bound=Callable[..., Any])

_PREFIX = "fetch_"
_registered: dict[str, Fetcher] = {}  # by normal name: those of this process, beside the built-in ones


@dataclass(frozen=True, slots=True)
class Fetcher:
    """One dataset that can be fetched.

    Attributes:
        name: as it was registered.
        function: returns the dataset. It is given ``split`` where it has a parameter of that name; otherwise what it
            returns is split.
        card: what is said about the dataset, if anything yet.
        from_your_file: whether it is read from a file that only its users have.
    """

    name: str
    function: Callable[..., Any]
    card: DatasetCard | None
    from_your_file: bool = False

    @property
    def splits_itself(self) -> bool:
        """Whether the function takes ``split``."""
        return "split" in inspect.signature(self.function).parameters


@overload
def register_dataset(name: F) -> F: ...
@overload
def register_dataset(name: str | None = None, *, card: DatasetCard | str | Path | None = None) -> Callable[[F], F]: ...
def register_dataset(name: Any = None, *, card: DatasetCard | str | Path | None = None) -> Any:
    """Register the decorated function under a name, for ``fetch_dataset`` in this process; it is not called.

    ``@register_dataset`` takes the name of the function without ``fetch_``; ``@register_dataset("name")`` gives one.
    The function may be registered before its card is written; it can be fetched when it has one.

    Args:
        card: the card, or the path of its YAML file; by default ``<name>.card.yaml`` beside the function's file.

    Raises:
        Refused: the name cannot be one, or another function has it, or the card is about another dataset.
        NotFound: there is no card at the path.
    """
    if callable(name):
        return _register(name.__name__.removeprefix(_PREFIX), name, None)

    def decorate(function: F) -> F:
        given = card if card is None or isinstance(card, DatasetCard) else read_dataset_card(Path(card))
        _register(name or function.__name__.removeprefix(_PREFIX), function, given)
        return function

    return decorate


def _register(name: str, function: F, card: DatasetCard | None) -> F:
    key = normal_name(name)
    check_free(name)
    other = _registered.get(key)
    if other and not _same(other.function, function):
        theirs = f"{other.function.__module__}.{other.function.__qualname__}"
        raise Refused(f"{shown(name)} is registered for {shown(theirs)} already; take another name.")
    fetcher = Fetcher(name, function, card)
    if card:
        card_of(fetcher)
    _registered[key] = fetcher
    return function


def check_free(name: str) -> None:
    """Raise Refused where a dataset that comes with smalti has the name: one name stands for one dataset."""
    if normal_name(name) in _built_in():
        raise Refused(f"{shown(name)} is a dataset that comes with smalti; give yours another name.")


def _same(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Tell whether these are one function, perhaps of a file or notebook cell that was run again."""
    here = {getattr(getattr(f, "__code__", None), "co_filename", None) for f in (one, other)}
    at_home = one.__module__ == other.__module__ or (len(here) == 1 and None not in here)
    return at_home and one.__qualname__ == other.__qualname__


def fetchers() -> dict[str, Fetcher]:
    """Return every dataset that can be fetched here, by normal name: the built-in ones, then the registered ones."""
    return {**_built_in(), **_registered}


def fetcher_named(name: str) -> Fetcher:
    """Return one of them.

    Raises:
        NotFound: there is none of that name; the message has those like it, and all.
    """
    known = fetchers()
    found = known.get(normal_name(name))
    if found is None:
        stored = {one.name for one in stored_datasets(_store())}
        raise unknown(name, {fetcher.name for fetcher in known.values()} | stored)
    return found


def card_of(fetcher: Fetcher) -> DatasetCard:
    """Return the card of a dataset: the one that was given, else the one beside the file of its function.

    Raises:
        Refused: it has none yet, and the message shows the card to write; or the card is about another dataset.
    """
    card = fetcher.card or _card_beside(fetcher)
    if normal_name(card.name) != normal_name(fetcher.name):
        raise Refused(f"the card of the dataset {fetcher.name} is about {card.name}; give its own.")
    return card


def fetch_dataset(name: str, split: str | None = None, **options: Any) -> Any:
    """Return a dataset: a pyarrow Table, a dict of Tables by split where it is published in splits, or a Scan.

    A name that only the store of this root knows, from ``smalti datasets add``, is read from there.

    Args:
        split: one split only. A table that is published whole is split here, always in the same way: ``train`` has 80 %
            of the rows, ``validation`` and ``test`` 10 % each, in their order.
        options: for the function that fetches it, e.g. ``path`` of a file of yours.

    Raises:
        NotFound: there is no such dataset or split, or the file is not where it should be; the message says what is.
        Refused: the dataset has no card, the function takes no such option, or what it returns cannot be split.
    """
    if (value := _stored(name, split)) is not None:
        if options:
            raise Refused(f"{name} is read from the store, which takes no options; leave out {', '.join(options)}.")
        return value
    fetcher = fetcher_named(name)
    card_of(fetcher)  # refuses what has none
    if split is not None and fetcher.splits_itself:
        return _fetched(fetcher, {**options, "split": split})
    value = _fetched(fetcher, options)
    return value if split is None else select_split(value, split, fetcher.name)


def select_split(value: Any, split: str, name: str) -> Any:
    """Return one split of a dataset's value; raises as ``fetch_dataset``."""
    import pyarrow as pa

    if isinstance(value, Mapping):
        if split not in value:
            raise NotFound(f"{name} has no split {shown(split)}; its splits are {', '.join(map(str, value))}.")
        return value[split]
    if not isinstance(value, pa.Table):
        raise Refused(f"{name} is a {type(value).__name__}, which is not split here; fetch it whole.")
    if split not in ROW_SPLITS:
        raise NotFound(f"{name} has no split {shown(split)}; its splits are {', '.join(ROW_SPLITS)}.")
    return value.take(pa.array(split_in_three(value.num_rows)[split]))


def _fetched(fetcher: Fetcher, options: Mapping[str, Any]) -> Any:
    import pandas as pd

    from smalti.contracts.tables.table import arrow_table

    check_options(fetcher.name, fetcher.function, **options)
    value = fetcher.function(**options)
    if value is None:
        raise Refused(f"the function that fetches {fetcher.name} returned nothing; let it return the dataset.")
    return arrow_table(value) if isinstance(value, pd.DataFrame) else value


def check_options(name: str, function: Callable[..., Any], *given: Any, **options: Any) -> None:
    """Raise ``Refused`` where a function does not take these; the message lists what it takes."""
    signature = inspect.signature(function)
    try:
        signature.bind(*given, **options)
    except TypeError as error:
        takes = ", ".join(list(signature.parameters)[len(given) :]) or "no options"
        raise Refused(f"{name} cannot be fetched like this: {error}; it takes {takes}.") from error


def _store() -> Store:
    from smalti import open_store
    from smalti.settings import Settings

    return open_store(Settings().store)


def _stored(name: str, split: str | None) -> Any:
    """Return the value of a dataset that is only in the store, or None."""
    key = normal_name(name)
    if key in fetchers():
        return None
    kept = {one.split for one in stored_datasets(_store()) if one.name == key}
    if split in kept:
        return stored_value(_store(), key, split)
    return select_split(stored_value(_store(), key), str(split), name) if None in kept else None


def _card_beside(fetcher: Fetcher) -> DatasetCard:
    try:
        file = Path(inspect.getfile(inspect.unwrap(fetcher.function)))
    except TypeError:  # made by another program, or in a notebook
        file = None
    beside = file.with_name(f"{fetcher.name}.card.yaml") if file and file.is_file() else None
    if beside and beside.is_file():
        return read_dataset_card(beside)
    where = f"save it as {shown(str(beside))}, or give it" if beside else "give it"
    raise Refused(
        f"the dataset {fetcher.name} has no card, so its source and licence are not known; {where} as "
        f"@register_dataset(card=...):\n{card_to_write({'name': fetcher.name})}"
    )


@functools.cache
def _built_in() -> dict[str, Fetcher]:
    from smalti.datasets.builtin import BUILT_IN

    return {normal_name(fetcher.name): fetcher for fetcher in BUILT_IN}
