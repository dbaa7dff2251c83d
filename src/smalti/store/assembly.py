"""An object from its files, wherever they lie: its record, and its content, put together for a near-duplicate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from smalti.errors import Damaged, NotFound
from smalti.store import recipe as recipes
from smalti.store import record as records
from smalti.store.backend import Content
from smalti.store.content import StitchedContent
from smalti.store.recipe import DELTA, OWN, RECIPE, Recipe
from smalti.store.record import LEAVES, METADATA, Record

if TYPE_CHECKING:  # numpy takes long to import: small objects are found without
    from smalti.store.leaf_table import Leaves

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


def load_record(files: Files, address: str) -> Record:
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
        from smalti.store.leaf_table import all_leaves

        leaves = _Sources(files).leaves(_Kept(recipe, all_leaves(*records.parse_leaves(address, kept))))
        kept = records.dump_leaves(leaves.ids.tobytes(), leaves.sizes)
    return records.parse(address, metadata, kept)


def load_content(files: Files, record: Record) -> Content:
    """Return access to an object's content.

    Raises:
        Damaged: a file is missing or cut short.
    """
    recipe = load_recipe(files, record.address)
    if recipe is None:
        return files.open(record.address, record.filename, record.buffers)
    delta = _open_delta(files, record.address, recipe)
    pieces = _Sources(files).pieces(recipe, delta, 0, record.nbytes)
    return StitchedContent(recipe.framing_nbytes, delta, pieces)


def sources_of(files: Files, record: Record, recipe: Recipe) -> list[str]:
    """Return the other objects whose files hold some of a near-duplicate's content, or say where it lies."""
    sources = _Sources(files)
    sources.pieces(recipe, _open_delta(files, record.address, recipe), 0, record.nbytes)
    return sorted(sources.seen)


def _open_delta(files: Files, address: str, recipe: Recipe) -> Content:
    return files.open(address, DELTA, [(recipe.framing_nbytes, recipe.own_nbytes)])


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the files of one object say of its leaves.

    Attributes:
        recipe: how it is put together; None where ``leaves`` are all of them, in the order of the content.
        leaves: of its own file, in the order in which they lie there.
    """

    recipe: Recipe | None
    leaves: Leaves


class _Sources:
    """What objects take leaves from, each looked at once.

    An extent names a place in the source's *content*. As a rule that lies in the source's own file, so a recipe never
    leads further than one step; only where the source was repaired since, in another form, is it followed.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._metadata: dict[str, bytes] = {}
        self._kept: dict[str, _Kept] = {}
        self._opened: dict[str, tuple[Recipe | None, Content]] = {}

    @property
    def seen(self) -> Iterable[str]:
        """The objects that were opened."""
        return self._opened.keys()

    def leaves(self, kept: _Kept) -> Leaves:
        """Return all leaves of a near-duplicate."""
        from smalti.store.leaf_table import joined

        assert kept.recipe
        return joined(self._leaves(kept, 0, kept.recipe.nbytes, _DEEPEST))

    def pieces(
        self, recipe: Recipe | None, own: Content, start: int, stop: int, deepest: int = _DEEPEST
    ) -> list[tuple[Content, int, int]]:
        """Return in which files the content from ``start`` to ``stop`` lies: file, where in its content, nbytes."""
        if recipe is None:
            return [(own, start, stop - start)]
        found = []
        for source, first, nbytes in recipe.within(start, stop):
            if source == OWN:
                found.append((own, first, nbytes))
            else:
                below = self._open(recipe.sources[source], deepest)
                found += self.pieces(*below, first, first + nbytes, deepest - 1)
        return found

    def _leaves(self, kept: _Kept, start: int, stop: int, deepest: int) -> Iterator[Leaves]:
        if kept.recipe is None:
            yield kept.leaves.within(start, stop)
            return
        for source, first, nbytes in kept.recipe.within(start, stop):
            if source == OWN:
                yield kept.leaves.within(first, first + nbytes)
            else:
                below = self._look(kept.recipe.sources[source], deepest)
                yield from self._leaves(below, first, first + nbytes, deepest - 1)

    def _look(self, address: str, deepest: int) -> _Kept:
        self._check_depth(address, deepest)
        from smalti.store.leaf_table import all_leaves

        if address not in self._kept:
            metadata = self._read(address)
            apart = self._files.read(address, LEAVES) if records.keeps_leaves_apart(metadata) else None
            recipe = load_recipe(self._files, address) if apart is not None else None
            leaves = all_leaves(*records.leaves_of(address, metadata, apart))
            self._kept[address] = _Kept(recipe, leaves)
        return self._kept[address]

    def _open(self, address: str, deepest: int) -> tuple[Recipe | None, Content]:
        self._check_depth(address, deepest)
        if address not in self._opened:
            recipe = load_recipe(self._files, address)
            filename, buffers = records.file_of(address, self._read(address))
            file = _open_delta(self._files, address, recipe) if recipe else self._files.open(address, filename, buffers)
            self._opened[address] = recipe, file
        return self._opened[address]

    def _read(self, address: str) -> bytes:
        if address not in self._metadata:
            found = self._files.read(address, METADATA)
            if found is None:
                raise Damaged(f"{address}, which others take leaves from, is not in the store at {self._files.place}.")
            self._metadata[address] = found
        return self._metadata[address]

    def _check_depth(self, address: str, deepest: int) -> None:
        if not deepest:
            raise Damaged(f"{RECIPE} of {address} leads in a circle; put the same value again to repair it.")
