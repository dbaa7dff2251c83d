"""An object from its files, wherever they lie: its record, and its content, put together for a near-duplicate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from smalti.errors import Damaged, NotFound
from smalti.store.backends.base import Backend, file_key
from smalti.store.format import leaf_table
from smalti.store.format import recipe as recipes
from smalti.store.format import record as records
from smalti.store.format.leaf_table import Leaves, leaves_of
from smalti.store.format.recipe import DELTA, LONG_NBYTES, OWN, RECIPE, Recipe
from smalti.store.format.record import LEAVES, METADATA, Record
from smalti.store.read.content import Content, FileContent, InlineContent, StitchedContent

_MOST_PIECES = 2**20  # unless they are long; each recipe of a forged chain may multiply those of the next
_DEEPEST = 8  # recipes name files, not other recipes; repairs may make a few levels


def load_recipe(backend: Backend, address: str) -> Recipe | None:
    """Return how a near-duplicate is put together; None for an object with a file of its own."""
    try:
        return recipes.parse(address, backend.read(file_key(address, RECIPE)))
    except NotFound:
        return None


def load_record(backend: Backend, address: str) -> Record:
    """Return what is known of an object.

    Raises:
        NotFound: it has no ``metadata.json``.
        Damaged: its record is not what was written.
    """
    return _Sources(backend).record(address)


def load_content(backend: Backend, record: Record) -> Content:
    """Return access to an object's content; what is missing shows when it is read.

    Raises:
        Damaged: its recipe, or the record or recipe of what it takes leaves from, is not what was written.
    """
    if record.is_inline:
        return InlineContent(record.content, record.buffers)
    recipe = load_recipe(backend, record.address)
    if recipe is None:
        return FileContent(backend.open(file_key(record.address, record.filename)), record.buffers)
    delta = _open_delta(backend, record.address, recipe)
    pieces = _Sources(backend).pieces(recipe, delta, 0, record.nbytes)
    return StitchedContent(recipe.framing_nbytes, delta, pieces)


def sources_of(backend: Backend, record: Record, recipe: Recipe) -> list[str]:
    """Return the other objects whose files hold some of a near-duplicate's content, or say where it lies."""
    sources = _Sources(backend)
    sources.pieces(recipe, _open_delta(backend, record.address, recipe), 0, record.nbytes)
    return sorted(sources.opened)


def _open_delta(backend: Backend, address: str, recipe: Recipe) -> FileContent:
    return FileContent(backend.open(file_key(address, DELTA)), [(recipe.framing_nbytes, recipe.own_nbytes)])


class _Sources:
    """What objects take leaves from, each looked at once.

    An extent names a place in the source's *content*. As a rule that lies in the source's own file, so a recipe never
    leads further than one step; only where the source was repaired since, in another form, is it followed.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._records: dict[str, Record] = {}
        self._opened: dict[str, tuple[Recipe | None, FileContent]] = {}
        self._pieces_left = _MOST_PIECES

    @property
    def opened(self) -> Iterable[str]:
        """The objects whose content was opened."""
        return self._opened.keys()

    def record(self, address: str, deepest: int = _DEEPEST) -> Record:
        if address not in self._records:
            self._records[address] = records.parse(
                address,
                self._backend.read(file_key(address, METADATA)),
                lambda count: _StoredLevels(self._backend, self, address, count, deepest),
            )
        return self._records[address]

    def pieces(
        self, recipe: Recipe | None, own: FileContent, start: int, stop: int, deepest: int = _DEEPEST
    ) -> list[tuple[FileContent, int, int]]:
        """Return in which files the content from ``start`` to ``stop`` lies: file, where in its content, nbytes."""
        if deepest == _DEEPEST:
            self._pieces_left = max(_MOST_PIECES, (stop - start) // LONG_NBYTES)
        self._pieces_left -= 1
        if self._pieces_left < 0:
            raise Damaged(f"{RECIPE} leads to more pieces than anybody keeps; restore it from another store.")
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

    def leaves(self, source: str, start: int, stop: int, deepest: int) -> Leaves:
        """Return the leaves of a source that begin from ``start`` on and before ``stop``."""
        return self._source(source, deepest).table.leaves(start, stop).within(start, stop)

    def _open(self, address: str, deepest: int) -> tuple[Recipe | None, FileContent]:
        if address not in self._opened:
            record = self._source(address, deepest)
            recipe = load_recipe(self._backend, address)
            if recipe:
                file = _open_delta(self._backend, address, recipe)
            else:
                file = FileContent(self._backend.open(file_key(address, record.filename)), record.buffers)
            self._opened[address] = recipe, file
        return self._opened[address]

    def _source(self, address: str, deepest: int) -> Record:
        if not deepest:
            raise Damaged(f"{RECIPE} of {address} leads in a circle; put the same value again to repair it.")
        try:
            record = self.record(address, deepest - 1)
        except NotFound as error:
            raise Damaged(
                f"{address}, which others take leaves from, is not in the store at {self._backend.location}."
            ) from error
        if record.is_inline:
            raise Damaged(f"{address} has no file, but others take leaves from it; restore it from another store.")
        return record


class _StoredLevels:
    """The levels of a leaf table that lie in ``leaves.bin``; a near-duplicate's leaves are those of its sources."""

    def __init__(self, backend: Backend, sources: _Sources, address: str, count: int, deepest: int) -> None:
        self._backend = backend
        self._sources = sources
        self._address = address
        self._count = count
        self._deepest = deepest
        self._file = backend.open(file_key(address, LEAVES))

    def entries(self, level: int, low: int, high: int, start: int, stop: int) -> bytes:
        offset = leaf_table.offsets(self._count, 0)[level]
        if level == 0 and (recipe := load_recipe(self._backend, self._address)):
            own = self._file.read(offset, self._file.nbytes)
            if len(own) % leaf_table.ENTRY_NBYTES:
                raise Damaged(
                    f"{LEAVES} of {self._address} is not what was written: it ends in the middle of an entry."
                )
            return b"".join(part.entries() for part in self._taken(recipe, leaves_of(own), start, stop))
        first = offset + low * leaf_table.ENTRY_NBYTES
        return bytes(self._file.read(first, offset + high * leaf_table.ENTRY_NBYTES))

    def forget(self) -> None:
        self._file.forget()

    def _taken(self, recipe: Recipe, own: Leaves, start: int, stop: int) -> Iterator[Leaves]:
        for source, first, nbytes in recipe.within(start, stop):
            if source == OWN:
                yield own.within(first, first + nbytes)
            else:
                yield self._sources.leaves(recipe.sources[source], first, first + nbytes, self._deepest)
