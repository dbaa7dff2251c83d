"""An object from its files, wherever they lie: its record, and its content, put together for a near-duplicate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from smalti.errors import Damaged, NotFound
from smalti.store import recipe as recipes
from smalti.store import record as records
from smalti.store.backend import Content
from smalti.store.content import StitchedContent
from smalti.store.recipe import DELTA, RECIPE, Recipe
from smalti.store.record import LEAVES, METADATA, Record

_DEEPEST = 8  # recipes name files, not other recipes; repairs may make a few levels


class Files(Protocol):
    """The files of objects."""

    @property
    def place(self) -> str:
        """Where they are, for messages."""

    def read(self, address: str, name: str) -> bytes | None:
        """Return a small file of an object, None when it is not there."""

    def open(self, address: str, name: str, buffers: Sequence[tuple[int, int]]) -> Content:
        """Return access to a large file of an object, with (offset, nbytes) of what is content in it.

        Raises:
            Damaged: it is missing or cut short.
        """


def load_recipe(files: Files, address: str) -> Recipe | None:
    """Return how a near-duplicate is put together; None for an object with a file of its own."""
    document = files.read(address, RECIPE)
    return None if document is None else recipes.parse(address, document)


def load_record(files: Files, address: str, deepest: int = _DEEPEST) -> Record:
    """Return what is known of an object.

    Raises:
        NotFound: it has no ``metadata.json``.
        Damaged: a file of its record, or of what it takes leaves from, is not what was written.
    """
    metadata = files.read(address, METADATA)
    if metadata is None:
        raise NotFound(f"{address} is not in the store at {files.place}.")
    kept = files.read(address, LEAVES) if records.keeps_leaves_apart(metadata) else None
    if kept is not None and (recipe := load_recipe(files, address)):
        # A near-duplicate keeps the ids of its own leaves only.
        sources = [recipes.all_leaves(s.leaf_ids, s.leaf_sizes) for s in _sources(files, address, recipe, deepest)]
        own = recipes.all_leaves(*records.parse_leaves(address, kept))
        kept = records.dump_leaves(*recipes.leaf_table(recipe, own, sources))
    return records.parse(address, metadata, kept)


def load_content(files: Files, record: Record, deepest: int = _DEEPEST) -> Content:
    """Return access to an object's content.

    Raises:
        Damaged: a file is missing or cut short.
    """
    recipe = load_recipe(files, record.address)
    if recipe is None:
        return files.open(record.address, record.filename, record.buffers)
    sources = _sources(files, record.address, recipe, deepest)
    delta = files.open(record.address, DELTA, [(recipe.framing_nbytes, recipe.own_nbytes)])
    return StitchedContent(recipe, delta, [load_content(files, source, deepest - 1) for source in sources])


def _sources(files: Files, address: str, recipe: Recipe, deepest: int) -> list[Record]:
    if not deepest:
        raise Damaged(f"{RECIPE} of {address} leads in a circle; put the same value again to repair it.")
    try:
        return [load_record(files, source, deepest - 1) for source in recipe.sources]
    except NotFound as error:
        raise Damaged(f"{RECIPE} of {address} needs an object that is gone: {error}") from error
