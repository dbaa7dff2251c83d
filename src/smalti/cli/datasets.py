"""``smalti datasets``: which datasets there are, under what terms, and how they come into the store."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smalti.cli.options import AsJson, StorePlace, print_json, printable, readable, the_store
from smalti.errors import Damaged, NotFound, Refused

if TYPE_CHECKING:
    from smalti.datasets.card import DatasetCard
    from smalti.store import Ref, Store

app = typer.Typer(no_args_is_help=True, help="Datasets by name, each with a card: its source, version and licence.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name that `smalti datasets list` shows.")]

_FETCHED, _YOUR_FILE, _REGISTERED, _STORED = "can be fetched", "from a file of yours", "registered", "in the store"
_CLASS = "a class of yours"


@app.command("list")
def list_datasets(store: StorePlace = None, as_json: AsJson = False) -> None:
    """List the datasets: those that can be fetched, competitions, classes in data/datasets, and those in the store."""
    rows = _rows(store)
    if as_json:
        print_json(rows)
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        where = ", ".join(row["where"])
        typer.echo(f"{printable(row['name']):<{width}}  {where:<34}  {printable(row['title'])}")


@app.command()
def info(name: Name, store: StorePlace = None, as_json: AsJson = False) -> None:
    """Print the card of a dataset, or what is registered of a competition."""
    document = _described(name, store)
    if as_json:
        print_json(document)
        return
    import yaml

    typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100), nl=False)


@app.command()
def fetch(
    name: Name,
    split: Annotated[str | None, typer.Option(help="One split only; it is stored as dataset/NAME/SPLIT.")] = None,
    path: Annotated[
        Path | None, typer.Option(help="Where your file or folder is, for a dataset that is not given out.")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Get a competition's files from Kaggle, with your key in .env.")
    ] = False,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a dataset and store it as dataset/NAME, with its card."""
    from smalti.datasets.fetchers import card_of, fetch_dataset, fetcher_named, fetchers
    from smalti.datasets.names import normal_name
    from smalti.datasets.stored import keep_dataset

    _discover_yours()
    if normal_name(name) not in fetchers():
        _check_not_here(name, the_store(store))
    card = card_of(fetcher_named(name))
    options = ({} if path is None else {"path": path}) | ({"download": True} if download else {})
    value = fetch_dataset(name, split, **options)
    with _working(f"storing {card.name}"):
        ref = keep_dataset(the_store(store), card, value, split)
    _print_kept(card, split, ref, as_json)


@app.command()
def add(
    path: Annotated[Path, typer.Argument(metavar="FILE_OR_FOLDER", help="Tables and arrays are read, others kept.")],
    name: Annotated[str | None, typer.Option(help="Short name of the dataset.")] = None,
    source: Annotated[str | None, typer.Option(help="Where it comes from: a URL, an instrument, a person.")] = None,
    licence: Annotated[str | None, typer.Option(help="Under what terms it may be used.")] = None,
    version: Annotated[str | None, typer.Option(help="Which edition of it this is.")] = None,
    card: Annotated[Path | None, typer.Option(metavar="FILE", help="A card in YAML, instead or as well.")] = None,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Store a file or folder of yours as dataset/NAME, with a card; without source and licence it is refused."""
    from smalti.datasets.adding import add_dataset, card_for

    if not path.exists():
        raise NotFound(f"there is nothing at {printable(str(path))}; name a file or a folder.")
    given = {"name": name, "source": source, "licence": licence, "version": version}
    described = card_for(path, {field: text for field, text in given.items() if text is not None}, card)
    with _working(f"storing {printable(path.name)}"):
        described, ref = add_dataset(the_store(store), path, described)
    _print_kept(described, None, ref, as_json)


def _rows(store: str | None) -> list[dict[str, Any]]:
    from smalti.datasets.competitions.registry import DatasetRegistry
    from smalti.datasets.fetchers import fetchers
    from smalti.datasets.stored import stored_card, stored_datasets

    classes = _discover_yours()
    rows: dict[str, dict[str, Any]] = {}

    def note(name: str, where: str, title: str) -> None:
        row = rows.setdefault(name, {"name": name, "title": "", "where": []})
        row["title"] = row["title"] or title
        row["where"] = list(dict.fromkeys([*row["where"], where]))

    for key, fetcher in fetchers().items():
        note(key, _YOUR_FILE if fetcher.from_your_file else _FETCHED, fetcher.card.title if fetcher.card else "")
    for key, competition in DatasetRegistry().competitions().items():
        note(key, _REGISTERED, competition.metadata.description)
    for key in classes:
        note(key, _CLASS, "")
    opened = the_store(store)
    for key in dict.fromkeys(one.name for one in stored_datasets(opened)):
        try:
            note(key, _STORED, stored_card(opened, key).title)
        except (Refused, Damaged) as error:  # one of them does not hide the others
            note(key, _STORED, f"({error})")
    return [rows[key] for key in sorted(rows)]


def _described(name: str, store: str | None) -> dict[str, Any]:
    from smalti.datasets.competitions.registry import DatasetRegistry
    from smalti.datasets.fetchers import card_of, fetchers
    from smalti.datasets.names import normal_name, unknown
    from smalti.datasets.stored import stored_card, stored_datasets

    classes = _discover_yours()
    key, opened, known, registered = normal_name(name), the_store(store), fetchers(), DatasetRegistry().competitions()
    stored = {one.name for one in stored_datasets(opened)}
    if key in stored:
        return stored_card(opened, key).to_document()
    if key in known:
        return card_of(known[key]).to_document()
    if key in registered:
        return registered[key].to_document()
    if key in classes:
        raise NotFound(
            f"{key} has a class in data/datasets and is not registered; register it with "
            "smalti.datasets.DatasetRegistry().register_competition."
        )
    raise unknown(name, {*known, *stored, *registered})


def _check_not_here(name: str, store: Store) -> None:
    """Say what is to be done with a dataset that is not fetched, because it is stored or registered."""
    from smalti.datasets.competitions.registry import DatasetRegistry
    from smalti.datasets.names import normal_name
    from smalti.datasets.stored import stored_datasets

    key = normal_name(name)
    if kept := [one.reference for one in stored_datasets(store) if one.name == key]:
        raise Refused(f"{key} is in the store at {store.place} already; write it: smalti get {kept[0]}.")
    if key in DatasetRegistry().competitions():
        raise Refused(f"{key} is a registered competition; open it: DatasetRegistry().create_dataset({key!r}).")


def _discover_yours() -> list[str]:
    """Run the dataset files of this root and return the names of its classes; a file that does not run is named."""
    from smalti.datasets.competitions.discovery import discover
    from smalti.settings import Settings

    yours = Settings().root / "data" / "datasets"
    if not yours.is_dir():
        return []
    found = discover(yours)
    for failure in found.failures:
        typer.echo(f"smalti: {failure}.", err=True)
    return list(found.classes)


def _working(doing: str) -> AbstractContextManager[Any]:
    """Say on a terminal what is being done until it is."""
    from rich.console import Console
    from rich.markup import escape

    return Console(stderr=True).status(escape(f"{doing} ..."))


def _print_kept(card: DatasetCard, split: str | None, ref: Ref, as_json: bool) -> None:
    from smalti.datasets.stored import store_name

    stored = store_name(card.name, split)
    if as_json:
        fields = ("digest", "kind", "nbytes", "new_bytes")
        print_json({"name": stored} | {field: getattr(ref, field) for field in fields})
    else:
        new = f"{readable(ref.new_bytes)} new" if ref.new_bytes else "nothing new: it was there already"
        typer.echo(f"{stored}  {ref.digest}  {readable(ref.nbytes)}, {new}")
