"""A store in an S3 bucket, laid out as in a local folder: ``data/a3/a3f5.../metadata.json`` and ``data.npy`` beside it.

An object exists when its ``metadata.json`` does: that key is written last and only where there is none, and removed
first. S3 has no rename, so damage is mended by writing the right bytes over it. Beside the layout there are ``probe``
(shows that the server refuses to replace), ``touched/`` (when a put last found an object) and ``removing/`` (marks).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from smalti.digest import PREFIX, is_address
from smalti.errors import Damaged, NotFound, Refused, Unavailable
from smalti.store import record as records
from smalti.store.backend import Content, Documents, Objects
from smalti.store.intake import DirectIntake, direct_intake, temporary_spool
from smalti.store.reader import Reader
from smalti.store.record import METADATA, Record
from smalti.store.s3_bucket import PART_NBYTES, PARTS_AT_ONCE, Bucket, Forbidden, Found
from smalti.store.s3_content import RangeContent
from smalti.store.values import Buffer, Encoded

if TYPE_CHECKING:
    from obstore import ObjectMeta

_PROBE = "probe"
_UPLOADED = "smalti-etag"  # beside metadata.json: the ETag of the data as it was uploaded
_WRITTEN_AT = "smalti-written-at"  # beside metadata.json too: nanoseconds since 1970
_SAMPLED_LEAVES = 16
_CHECKED_AT_ONCE_NBYTES = 4 * PART_NBYTES
_WRITE_TRIES = 3
_REMOVAL_SECONDS = 300.0  # a removal's mark that is older was left by a process that died
_LOOK_AGAIN_SECONDS = 0.2


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

    @property
    def place(self) -> str:
        return self._bucket.place

    def has(self, address: str) -> bool:
        """Tell whether an object is there."""
        return self._bucket.head(_key(address, METADATA)) is not None

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
        return self._load(address)[0]

    def content(self, record: Record) -> Content:
        """Return access to an object's content; nothing is asked of the server yet."""
        return RangeContent(self._bucket, _key(record.address, record.filename), record)

    def intake(self) -> AbstractContextManager[DirectIntake]:
        """Give what takes objects in."""
        return direct_intake(self)

    def spool(self) -> AbstractContextManager[Path]:
        """Give a path for a file that is put afterwards."""
        return temporary_spool()

    def alike(self, record: Record, hints: Sequence[str]) -> list[str]:
        """Return the hints that are here."""
        return [address for address in hints if address != record.address and self.has(address)]

    def write(self, record: Record, encoded: Encoded | None, alike: Sequence[str] = ()) -> int:
        """Make an object durable: data, then ``metadata.json``, then a look at both.

        What is found already there is made young first, so that no collection takes it away.
        """
        address = record.address
        exists = self.touch(address)
        if exists and self._is_sound(address):
            return 0
        for replace in [exists, *[True] * (_WRITE_TRIES - 1)]:
            added = self._upload(record, encoded, replace)
            self._wait_for_removal(address)
            if self._is_sound(address):
                return added
        raise Unavailable(
            f"{self.place} did not keep {address} as it was put, also when tried again; check the server."
        )

    def verify(self, address: str, whole: bool = True) -> Record:
        """Read an object, or a sample of large data that nobody wrote over, and return its record."""
        return self._examine(address, whole)

    def needs(self, address: str) -> set[str]:
        """Return an object's children."""
        return set(self.record(address).children.values())

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
        return sum(found["size"] for found in self._files(address).values())

    def touch(self, address: str) -> bool:
        """Make an object young; tell whether it is there."""
        if not self.has(address):
            return False
        self._bucket.put(_touched_key(address), [_now()])
        self._wait_for_removal(address)
        return self.has(address)

    def touched_at(self, address: str) -> float:
        """Return when an object was written or found, by the writer's clock: the server's counts whole seconds."""
        if (metadata := self._bucket.get(_key(address, METADATA))) is None:
            return 0.0
        written_at = _time(metadata.attributes.get(_WRITTEN_AT, ""), metadata)
        touched = self._bucket.get(_touched_key(address))
        return max(written_at, _time(touched.content.decode("latin-1"), touched)) if touched else written_at

    def remove(self, address: str, unless_touched_since: float | None = None) -> bool:
        """Remove an object, ``metadata.json`` first, under a mark that makes puts of the same object wait.

        A put makes the object young, then looks for the mark, then at the object: so either the time seen here is the
        new one, or the put sees the mark, or it sees that the object is gone and writes it anew.
        """
        mark = _removing_key(address)
        if not self._bucket.create(mark, b""):
            if self._is_held(mark):
                return False
            self._bucket.put(mark, [b""])
        try:
            if unless_touched_since is not None and self.touched_at(address) > unless_touched_since:
                return False
            self._bucket.delete(_key(address, METADATA))
            for name in self._files(address):
                self._bucket.delete(_key(address, name))
            self._bucket.delete(_touched_key(address))
            return True
        finally:
            self._bucket.delete(mark)

    def rebuild_index(self) -> None:
        """There is nothing to make anew: the bucket itself is asked each time."""

    def sweep(self, older_than_seconds: float) -> None:
        """Do nothing: a writer that dies leaves nothing behind here."""

    def file(self, record: Record) -> Path | None:
        """Return None: nothing here is a local file."""

    def _load(self, address: str) -> tuple[Record, str]:
        """Return an object's record and the ETag its data was uploaded with."""
        metadata = self._bucket.get(_key(address, METADATA))
        if metadata is None:
            raise NotFound(f"{address} is not in the store at {self.place}.")
        leaves = self._bucket.get(_key(address, records.LEAVES)) if _has_leaves_file(metadata.content) else None
        record = records.parse(address, metadata.content, leaves.content if leaves else None)
        return record, metadata.attributes.get(_UPLOADED, "")

    def _files(self, address: str) -> dict[str, ObjectMeta]:
        folder = _key(address, "")
        return {found["path"].removeprefix(folder): found for found in self._bucket.list(folder)}

    def _examine(self, address: str, whole: bool) -> Record:
        """Prove an object's keys to be what was stored; of large data a sample will do where nobody wrote over it."""
        if not is_address(address):
            raise Damaged(f"{self.place}/data holds {address}, which is no object; remove it.")
        record, uploaded = self._load(address)
        found = self._files(address)
        expected = {*records.dump(record), *filter(None, [record.filename])}
        if found.keys() != expected:
            raise Damaged(f"{address} in {self.place} holds {sorted(found)}, but {sorted(expected)} were stored.")
        if not record.filename:
            return record
        data = found[record.filename]
        content = RangeContent(self._bucket, _key(address, record.filename), record, data["size"])
        reader = Reader(record, content)
        untouched = uploaded and data["e_tag"] == uploaded
        if untouched and not whole and record.nbytes > PART_NBYTES:
            leaves = random.sample(range(len(record.leaf_sizes)), min(_SAMPLED_LEAVES, len(record.leaf_sizes)))
            with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
                list(pool.map(reader.verify_leaf, leaves))
            return record
        if 0 < data["size"] <= PART_NBYTES:
            content.fetch(0, data["size"])  # all that is read below, in one request
        for number, (_, nbytes) in enumerate(record.buffers):
            for at in range(0, nbytes, _CHECKED_AT_ONCE_NBYTES):
                reader.read(number, at, min(at + _CHECKED_AT_ONCE_NBYTES, nbytes))
        if not reader.framing_is_sound():
            raise Damaged(
                f"{record.filename} of {address} is damaged outside its content, in its file format's header."
            )
        return record

    def _upload(self, record: Record, encoded: Encoded | None, replace: bool) -> int:
        """Write an object's keys and return their size; 0 when another writer's ``metadata.json`` was there first."""
        files = records.dump(record)
        metadata = files.pop(METADATA)
        added = len(metadata)
        for name, content in files.items():
            self._bucket.put(_key(record.address, name), [content])
            added += len(content)
        attributes = {_WRITTEN_AT: _now().decode()}
        if encoded:
            pieces = [piece.data if isinstance(piece, Buffer) else piece for piece in encoded.pieces]
            attributes[_UPLOADED] = self._bucket.put(_key(record.address, encoded.filename), pieces)
            added += sum(len(piece) for piece in pieces)
        key = _key(record.address, METADATA)
        if replace:
            self._bucket.put(key, [metadata], attributes)
        elif not self._bucket.create(key, metadata, attributes):
            return 0
        return added

    def _is_sound(self, address: str) -> bool:
        try:
            self._examine(address, whole=False)
        except (Damaged, NotFound):
            return False
        return True

    def _wait_for_removal(self, address: str) -> None:
        until = time.monotonic() + _REMOVAL_SECONDS
        while self._is_held(_removing_key(address)):
            if time.monotonic() > until:
                raise Unavailable(f"{address} is being removed from {self.place} all the time; try again later.")
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _is_held(self, mark: str) -> bool:
        """Tell whether a process that may still live is removing the object of a mark."""
        found = self._bucket.head(mark)
        return found is not None and time.time() - found["last_modified"].timestamp() < _REMOVAL_SECONDS


class S3Documents(Documents):
    """Small files by key, in a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    @property
    def place(self) -> str:
        return self._bucket.place

    def create(self, key: str, content: bytes) -> bool:
        """Create a document."""
        return self._bucket.create(key, content)

    def read(self, key: str) -> bytes:
        """Return a document."""
        found = self._bucket.get(key)
        if found is None:
            raise NotFound(f"there is no {key} in the store at {self.place}.")
        return found.content

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield keys in order."""
        yield from (found["path"] for found in self._bucket.list(prefix))

    def remove(self, key: str) -> None:
        """Remove a document."""
        self._bucket.delete(key)


def _key(address: str, name: str) -> str:
    hexadecimal = address.removeprefix(PREFIX)
    return f"data/{hexadecimal[:2]}/{hexadecimal}/{name}"


def _touched_key(address: str) -> str:
    return f"touched/{address.removeprefix(PREFIX)}"


def _removing_key(address: str) -> str:
    return f"removing/{address.removeprefix(PREFIX)}"


def _has_leaves_file(metadata: bytes) -> bool:
    """Tell, before parsing, whether a record keeps its leaves apart; a wrong guess only costs a request."""
    return b'"leaves":"' in metadata


def _now() -> bytes:
    return b"%d" % time.time_ns()


def _time(text: str, found: Found) -> float:
    """Return the time a writer noted; the server's where a copy of the bucket has lost it."""
    return int(text) / 1e9 if text.isdecimal() else found.at
