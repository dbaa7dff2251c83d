"""A store in an S3 bucket, laid out as in a local folder: ``data/a3/a3f5.../metadata.json`` and ``data.npy`` beside it.

An object exists when its ``metadata.json`` does: that key is written last and only where there is none, and removed
first. S3 has no rename, so damage is mended by writing the right bytes over it. Beside the layout there are ``probe``
(shows that the server refuses to replace) and the marks of :mod:`smalti.store.s3_marks`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from smalti.digest import PREFIX, is_address
from smalti.errors import Damaged, NotFound, Refused, Unavailable
from smalti.store import recipe as recipes
from smalti.store import record as records
from smalti.store import seekable
from smalti.store.assembly import load_content, load_recipe, load_record
from smalti.store.backend import Content, Documents, Objects
from smalti.store.intake import DirectIntake, direct_intake, temporary_spool
from smalti.store.leaf_table import own_leaves, plan
from smalti.store.reader import Reader
from smalti.store.recipe import DELTA, RECIPE, Recipe
from smalti.store.record import METADATA, Record
from smalti.store.s3_bucket import LOOKS_FOR_KNOWN, PART_NBYTES, PARTS_AT_ONCE, Bucket, Forbidden
from smalti.store.s3_content import RangeContent
from smalti.store.s3_files import S3Files
from smalti.store.s3_marks import Marks
from smalti.store.values import Encoded

_PROBE = "probe"
_SAMPLED_LEAVES = 16
_CHECKED_AT_ONCE_NBYTES = 4 * PART_NBYTES
_WRITE_TRIES = 3
_MOST_LEVELS = 3  # of objects built on one another: the record of the last is put together from all of theirs


def open_s3(url: str, endpoint: str | None = None) -> tuple[S3Objects, S3Documents]:
    """Open the store at ``s3://bucket/prefix``, after the server has shown that it never replaces what is created.

    Credentials that may only read are enough to read.

    Raises:
        Refused: the URL, endpoint or credentials are not such, or the server replaces what should be created once.
        NotFound: there is no such bucket.
        Unavailable: the server does not answer or does not let us in.
    """
    bucket = Bucket(url, endpoint)
    try:
        replaced = all(bucket.create(_PROBE, b"A second creation of this key must fail.\n") for _ in range(2))
    except Forbidden:
        next(bucket.list(""), None)  # raises where reading is forbidden as well
        replaced = False
    if replaced:
        raise Refused(
            f"the server of {bucket.place} ignores If-None-Match and would let writers replace each other's data; "
            "use one that honours it, and keep the bucket unversioned."
        )
    return S3Objects(bucket), S3Documents(bucket)


class S3Objects(Objects):
    """Objects by address, in a bucket."""

    writes_at_once = 16

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._files = S3Files(bucket)
        self._marks = Marks(bucket)

    @property
    def place(self) -> str:
        return self._bucket.place

    def has(self, address: str) -> bool:
        """Tell whether an object is there."""
        return self._bucket.head(self._files.key(address, METADATA)) is not None

    def addresses(self, hex_prefix: str = "") -> Iterator[str]:
        """Yield addresses in order; what has no ``metadata.json`` is no object."""
        shard = f"data/{hex_prefix[:2]}" if len(hex_prefix) >= 2 else "data"
        first = f"{shard}/{hex_prefix}" if shard != "data" else None
        for found in self._bucket.list(shard, after=first):
            if first and not found["path"].startswith(first):
                return
            *_, digits, name = f"/{found['path']}".split("/")
            if name == METADATA and digits.startswith(hex_prefix):
                yield PREFIX + digits

    def record(self, address: str) -> Record:
        """Return what is known of an object."""
        return load_record(self._files, address)

    def content(self, record: Record) -> Content:
        """Return access to an object's content, fetched when it is read."""
        return load_content(self._files, record)

    def intake(self) -> AbstractContextManager[DirectIntake]:
        """Give what takes objects in."""
        return direct_intake(self)

    def spool(self) -> AbstractContextManager[Path]:
        """Give a path for a file that is put afterwards."""
        return temporary_spool()

    def write(self, record: Record, encoded: Encoded | None, alike: Sequence[str] = ()) -> int:
        """Make an object durable: content, then ``metadata.json``, then a look at both.

        What is found already there is made young first, so that no collection takes it away. What is written over is
        written whole.
        """
        address = record.address
        exists, recipe, added, tries = self.touch(address), None, 0, 0
        agreed = encoded is not None and not exists and record.nbytes >= recipes.LEAST_SAVED_NBYTES
        if encoded and agreed:
            recipe = self._form(record, encoded, alike)
            exists = self.has(address)  # by now
        while not (exists and self._is_sound(address)):
            if tries == _WRITE_TRIES:
                raise Unavailable(
                    f"{self.place} did not keep {address} as it was put, also when tried again; check the server."
                )
            added = self._files.write(record, encoded, None if exists else recipe, over=exists)
            self._marks.wait_for_removal(address)
            exists, tries = True, tries + 1
        if agreed:
            self._marks.written(address)
        return added

    def alike(self, record: Record, hints: Sequence[str]) -> list[str]:
        """Return the hints that are here, and what they take leaves from."""
        found: dict[str, None] = {}
        for hint in hints:
            if self._files.read(hint, METADATA):
                found |= dict.fromkeys([hint, *sorted(self._sources(hint))])
        return [address for address in found if address != record.address]

    def verify(self, address: str, whole: bool = True) -> Record:
        """Prove an object's keys to be what was stored, and return its record; damage is looked at twice.

        Args:
            whole: read everything; otherwise of more than 8 MiB a few leaves, where nobody wrote over the content
                since it was uploaded.
        """
        with suppress(Damaged):
            return self._verify(address, whole)
        return self._verify(address, whole)

    def _verify(self, address: str, whole: bool) -> Record:
        if not is_address(address):
            raise Damaged(f"{self.place}/data holds {address}, which is no object; remove it.")
        record = self.record(address)
        recipe = load_recipe(self._files, address) if record.filename else None
        name = self._files.content_name(address, DELTA if recipe else record.filename) if record.filename else METADATA
        found = self._files.sizes(address)
        expected = {*records.dump(record), name, *([RECIPE] if recipe else [])}
        if found.keys() != expected:
            raise Damaged(f"{address} in {self.place} holds {sorted(found)}, but {sorted(expected)} were stored.")
        if not record.filename:
            return record
        if recipe:
            recipes.own_slices(record, recipe)
        content, kept = self.content(record), self._files.kept(address)
        nbytes, etag = found[name]
        if not whole and record.nbytes > PART_NBYTES and kept and kept.uploaded == etag:
            leaves = random.sample(range(len(record.leaf_sizes)), min(_SAMPLED_LEAVES, len(record.leaf_sizes)))
            with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
                list(pool.map(Reader(record, content).verify_leaf, leaves))
            for source in recipe.sources if recipe else ():
                self.verify(source, whole=False)
            return record
        if isinstance(content, RangeContent) and 0 < nbytes <= PART_NBYTES and not name.endswith(seekable.SUFFIX):
            content.fetch(0, nbytes)  # all that is read below, in one request
        reader = Reader(record, content)
        for number, (_, buffer_nbytes) in enumerate(record.buffers):
            for at in range(0, buffer_nbytes, _CHECKED_AT_ONCE_NBYTES):
                reader.read(number, at, min(at + _CHECKED_AT_ONCE_NBYTES, buffer_nbytes))
        if not reader.framing_is_sound():
            raise Damaged(f"{name} of {address} is damaged outside its content, in its file format's header.")
        return record

    def is_intact(self, address: str) -> bool:
        """Tell whether an object is there as it was stored.

        Its records prove themselves. Its content counts as sound where the server's ETag is the one it was uploaded
        with; where that note was lost, or the ETag is another, the bytes are read.
        """
        with suppress(Damaged, NotFound):
            record = self.record(address)
            if not record.filename or self._files.is_as_uploaded(address):
                return all(map(self.is_intact, self._sources(address)))
            self.verify(address)
            return True
        return False

    def needs(self, address: str) -> set[str]:
        """Return an object's children and what it takes leaves from."""
        recipe = load_recipe(self._files, address)
        return {*self.record(address).children.values(), *(recipe.sources if recipe else ())}

    def reachable(self, roots: set[str]) -> set[str]:
        """Return the roots and all they need, by reading the records, a generation at a time."""
        found: set[str] = set()
        generation = set(roots)
        while generation:
            found |= generation
            with ThreadPoolExecutor(self.writes_at_once) as pool:
                below = list(pool.map(lambda address: self.needs(address) if self.has(address) else set(), generation))
            generation = set().union(*below) - found
        return found

    def nbytes_kept(self, address: str) -> int:
        """Return the size of an object's keys."""
        return sum(nbytes for nbytes, _ in self._files.sizes(address).values())

    def touch(self, address: str) -> bool:
        """Make an object young, and what it takes leaves from; tell whether it is there."""
        if self._files.read(address, METADATA, certain=False) is None:  # then it is written, and that finds it
            return False
        for needed in {address}.union(*self._levels(address)):
            self._marks.touch(needed)
            self._marks.wait_for_removal(needed)
        return self.has(address)

    def touched_at(self, address: str) -> float:
        """Return when an object was written or found at the latest, by the server's clock."""
        if self._files.read(address, METADATA) is None or not (kept := self._files.kept(address)):
            return 0.0
        return max(kept.written_at, self._marks.touched_at(address))

    def now(self) -> float:
        """Return the server's time, not before ``touched_at`` of anything so far; that takes a second."""
        try:
            return self._marks.clock.after_all()
        except Forbidden:  # who may not write only looks at what could be removed
            return time.time()

    def remove(self, address: str, unless_touched_since: float | None = None) -> bool:
        """Remove an object, ``metadata.json`` first, under a mark that makes puts of the same object wait.

        A put makes the object young, then looks for the mark, then at the object: so either the time seen here is the
        new one, or the put sees the mark, or it sees that the object is gone and writes it anew.
        """
        with self._marks.removal(address) as lease:
            if not lease:
                return False
            if unless_touched_since is not None and self.touched_at(address) > unless_touched_since:
                return False
            names = [METADATA, *self._files.sizes(address)]
            if not lease.is_held():
                return False
            for name in names:
                self._bucket.delete(self._files.key(address, name))
            self._marks.forget(address)
            return True

    def rebuild_index(self) -> None:
        """There is nothing to make anew: the bucket itself is asked each time."""

    def sweep(self, older_than_seconds: float) -> None:
        """Remove what processes that died left behind, nothing younger than an hour."""
        self._marks.sweep(older_than_seconds)

    def file(self, record: Record) -> Path | None:
        """Return None: nothing here is a local file."""

    def _form(self, record: Record, encoded: Encoded, alike: Sequence[str]) -> Recipe | None:
        """Return how to keep a new object: as the first of its writers chose, since two forms share keys."""
        recipe = self._plan(record, encoded, alike)
        wanted = recipe.dump() if recipe else b""
        agreed = self._marks.agree(record.address, wanted)
        if agreed == wanted:
            return recipe
        if agreed:
            with suppress(Damaged):
                theirs = recipes.parse(record.address, agreed)
                if theirs.framing_nbytes == recipes.framing_nbytes(encoded) and all(map(self._is_kept, theirs.sources)):
                    return theirs
            self._marks.insist(record.address, b"")
        return None

    def _plan(self, record: Record, encoded: Encoded, alike: Sequence[str]) -> Recipe | None:
        """Return a recipe from sound objects only: damage must not spread to what is written now."""
        leaves = {}
        for address in self.alike(record, alike):
            with suppress(Damaged, NotFound):
                if len(self._levels(address)) < _MOST_LEVELS:
                    leaves[address] = own_leaves(self.record(address), load_recipe(self._files, address))
        framing_nbytes = recipes.framing_nbytes(encoded) if leaves else 0
        while leaves and (recipe := plan(record, framing_nbytes, list(leaves), leaves.__getitem__)):
            unsound = [source for source in recipe.sources if not self._is_kept(source)]
            if not unsound:
                return recipe
            for source in unsound:
                del leaves[source]
        return None

    def _is_kept(self, address: str) -> bool:
        """Make an object young, and tell whether another may be built on it."""
        return self.touch(address) and self._is_sound(address)

    def _sources(self, address: str) -> set[str]:
        """Return what an object takes leaves from, nothing where that cannot be read."""
        with suppress(Damaged):
            recipe = load_recipe(self._files, address)
            return set(recipe.sources) if recipe else set()
        return set()

    def _levels(self, address: str) -> list[set[str]]:
        """Return what an object takes leaves from, then what those do, and so on."""
        levels: list[set[str]] = []
        level = self._sources(address)
        while level and len(levels) <= _MOST_LEVELS:
            levels.append(level)
            level = set().union(*map(self._sources, level))
        return levels

    def _is_sound(self, address: str) -> bool:
        try:
            self.verify(address, whole=False)
        except (Damaged, NotFound):
            return False
        return True


class S3Documents(Documents):
    """Small files by key, in a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    @property
    def place(self) -> str:
        return self._bucket.place

    @property
    def identity(self) -> str:
        """What tells this place from all others, also from those on other servers."""
        return self._bucket.identity

    def create(self, key: str, content: bytes, *, synced: bool = True) -> bool:
        """Create a document."""
        return self._bucket.create(key, content)

    def replace(self, key: str, content: bytes, was: bytes) -> bool:
        """Put other content in the place of ``was``."""
        return self._bucket.replace(key, content, was)

    def read(self, key: str) -> bytes:
        """Return a document."""
        found = self._bucket.get(key, LOOKS_FOR_KNOWN)
        if found is None:
            raise NotFound(f"there is no {key} in the store at {self.place}.")
        return found.content

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield keys in order."""
        yield from (found["path"] for found in self._bucket.list(prefix))

    def stamps(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield keys and ETags."""
        yield from ((found["path"], found["e_tag"] or "") for found in self._bucket.list(prefix))

    def remove(self, key: str, *, synced: bool = True) -> None:
        """Remove a document."""
        self._bucket.delete(key)
