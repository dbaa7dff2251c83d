"""One S3 bucket, spoken to through obstore: keys in, bytes out, and every failure one sentence."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain, pairwise
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from smalti.errors import Refused, SmaltiError, Unavailable
from smalti.store.backends.s3.endpoint import (
    bucket_and_prefix,
    check_credentials,
    check_endpoint,
    endpoint_in_environment,
)
from smalti.store.backends.s3.etag import ETags, Parts, Piece, bare, md5
from smalti.store.backends.s3.failures import sentence
from smalti.store.backends.s3.retry import USUAL, Retry, code_of, is_transient, status_of

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta, UpdateVersion

T = TypeVar("T")

PART_NBYTES = 8 * 1024 * 1024
PARTS_AT_ONCE = 8
_UPLOADS_AT_ONCE = 2  # in parts, each of which keeps some in memory
_MOST_PARTS = 10_000  # of one upload, by the rules of S3
_UPLOAD_TRIES = 3  # of a whole upload in parts, each of which has a budget of its own
_WRITER = "smalti-writer"
_PROBE, _PROBE_CONTENT = "probe", b"A second creation of this key must fail.\n"
_NO_ETAG = '"00000000000000000000000000000000"'


@dataclass(frozen=True, slots=True)
class Found:
    """A key's bytes and ETag, the small texts kept beside them, and when the server took them, in s since 1970."""

    content: bytes
    attributes: dict[str, str]
    at: float
    etag: str


@dataclass(frozen=True, slots=True)
class Written:
    """What went up: how many bytes, and the server's ETag for them."""

    nbytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a key, and how many it has in all: none of either where there is no such key."""

    content: memoryview
    key_nbytes: int


class Bucket:
    """Keys below one prefix of one bucket."""

    def __init__(
        self, url: str, endpoint: str | None = None, *, retry: Retry = USUAL, answer_seconds: float = 30.0
    ) -> None:
        """Take credentials and region from the environment, as boto3 does; no request is made.

        Args:
            retry: the budget of each request.
            answer_seconds: after so long without a byte a request is given up.

        Raises:
            Refused: the URL is not ``s3://bucket/prefix``, the endpoint is not safe, or there are no credentials.
        """
        self.name, prefix = bucket_and_prefix(url)
        self.location = f"s3://{self.name}/{prefix}".rstrip("/")
        endpoint = endpoint or endpoint_in_environment()
        self._at = f" at {endpoint}" if endpoint else ""
        self.identity = f"{self.location}{self._at}"
        loopback = check_endpoint(endpoint) if endpoint else False
        check_credentials(self.location)
        self._uploads = threading.BoundedSemaphore(_UPLOADS_AT_ONCE)
        self._honours_if_match = False  # known when a key is first replaced
        self._etags = ETags()
        self._retry = retry
        # Only the parts of an upload are tried again below us; elsewhere we look at what has happened first.
        self._single, self._in_parts = (
            S3Store(
                self.name,
                prefix=prefix or None,
                # Single deletions: not every server knows the bulk request.
                config={"disable_bulk_delete": True, **({"aws_endpoint_url_s3": endpoint} if endpoint else {})},
                client_options={
                    "allow_http": loopback,
                    "connect_timeout": timedelta(seconds=min(5, answer_seconds)),
                    "read_timeout": timedelta(seconds=answer_seconds),
                    "timeout": timedelta(seconds=10 * answer_seconds),
                },
                retry_config=retry.below(tries),
            )
            for tries in (1, retry.tries)
        )

    def check_creation(self) -> None:
        """See that the server never replaces what is to be created once, on a key that is always the same.

        Raises:
            Refused: it does, or it does not know the condition.
            NotFound: there is no such bucket.
            Unavailable: it does not answer, or does not let us write.
        """
        failure: Exception | None = None
        for _ in self._retry.attempts():
            try:
                for _ in range(2):
                    obstore.put(self._single, _PROBE, _PROBE_CONTENT, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return
            except (BaseError, FileNotFoundError) as error:
                failure = error
                if not is_transient(error):
                    break
            else:
                raise Refused(
                    f"the server of {self.location} ignores If-None-Match and would let writers replace each other's "
                    "data; use one that honours it, and keep the bucket unversioned."
                )
        raise self._sentence("create", _PROBE, failure) from None

    def create(self, key: str, content: bytes, attributes: dict[str, str] | None = None) -> bool:
        """Write a key that must not exist; tell whether this call did.

        The writer's mark beside the bytes tells our own write, whose reply was lost, from somebody else's.
        """
        noted = {**(attributes or {}), _WRITER: uuid.uuid4().hex}
        failure: Exception | None = None
        for _ in self._retry.attempts():
            try:
                reply = obstore.put(self._single, key, content, mode="create", attributes=noted, use_multipart=False)
                if self._etags.say(reply["e_tag"], content):
                    return True
            except AlreadyExistsError:
                pass
            except (BaseError, FileNotFoundError) as error:
                failure = error
                if not is_transient(error):
                    break
            if found := self.get(key):
                if found.attributes.get(_WRITER) != noted[_WRITER]:
                    return False
                if found.content == content:
                    return True
                with suppress(BaseError, FileNotFoundError):  # ours, but a bit has flipped on its way
                    self._put_over(key, content, found.etag, noted)
        raise self._sentence("create", key, failure) from None

    def replace(self, key: str, content: bytes, was: bytes) -> bool:
        """Write a key that must hold ``was``; tell whether this call did.

        Raises:
            Refused: the server ignores If-Match, and would let writers replace each other's changes.
        """
        noted = {_WRITER: uuid.uuid4().hex}
        failure: Exception | None = None
        for _ in self._retry.attempts():
            found = self.get(key)
            if found is None:
                return False
            ours = found.attributes.get(_WRITER) == noted[_WRITER]
            if found.content == content and ours:
                return True
            if found.content != was and not ours:
                return False
            try:
                if not self._honours_if_match:
                    if self._put_over(key, found.content, _NO_ETAG, found.attributes) is not None:
                        raise Refused(
                            f"the server of {self.location} ignores If-Match, so {key} cannot be changed safely."
                        )
                    self._honours_if_match = True
                if self._etags.say(self._put_over(key, content, found.etag, noted), content):
                    return True
            except (BaseError, FileNotFoundError) as error:
                failure = error
                if not is_transient(error):
                    break
        raise self._sentence("replace", key, failure) from None

    def _put_over(self, key: str, content: bytes, etag: str, attributes: dict[str, str]) -> str | None:
        """Write a key that must have this ETag; return its new one, None where it had not."""
        for spelled in (etag, etag.strip('"')):  # as HTTP writes it, and as a RADOS gateway compares it
            with suppress(PreconditionError):
                mode: UpdateVersion = {"e_tag": spelled}
                reply = obstore.put(self._single, key, content, mode=mode, attributes=attributes, use_multipart=False)
                return reply["e_tag"] or ""
        return None

    def put(
        self, key: str, pieces: Iterable[Piece], attributes: dict[str, str] | None = None, most_nbytes: int = 0
    ) -> Written:
        """Write a key, whatever is there; more than one part's worth goes up in parallel, as the pieces come.

        What the server holds in the end is what was sent: its ETag says so, or it is read back.

        Args:
            pieces: no iterator, since they are gone through again where they have to be sent again.
            most_nbytes: the pieces have no more; needed where they may be more than 80 GB.
        """
        part_nbytes = max(PART_NBYTES, -(-most_nbytes // _MOST_PARTS))
        rest = iter(pieces)
        first: list[Piece] = []
        nbytes = 0
        for piece in rest:
            first.append(piece)
            nbytes += len(piece)
            if nbytes > part_nbytes:
                break
        else:
            return self._put_whole(key, b"".join(first), attributes)
        if rest is pieces:
            raise TypeError("the pieces of a large key may have to be sent again; give no iterator.")
        return self._put_in_parts(key, pieces, chain(first, rest), part_nbytes, attributes)

    def _put_whole(self, key: str, content: bytes, attributes: dict[str, str] | None) -> Written:
        for _ in self._retry.attempts():
            reply = self._ask(
                "write",
                key,
                lambda: obstore.put(self._single, key, content, attributes=attributes, use_multipart=False),
            )
            etag = reply["e_tag"] if reply else None
            if etag and self._etags.say(etag, content):
                return Written(len(content), etag)
            if (found := self.get(key)) and found.content == content:
                return Written(len(content), found.etag)
        raise self._not_kept(key)

    def _put_in_parts(
        self,
        key: str,
        pieces: Iterable[Piece],
        begun: Iterable[Piece],
        part_nbytes: int,
        attributes: dict[str, str] | None,
    ) -> Written:
        failure: Exception | None = None
        for _ in replace(self._retry, tries=_UPLOAD_TRIES, seconds=float("inf")).attempts():
            parts = Parts(part_nbytes)
            try:
                with self._uploads:
                    reply = obstore.put(
                        self._in_parts,
                        key,
                        parts.cut(begun),
                        attributes=attributes,
                        use_multipart=True,
                        chunk_size=part_nbytes,
                        max_concurrency=PARTS_AT_ONCE,
                    )
                etag, failure = reply["e_tag"], None
            except (BaseError, FileNotFoundError) as error:
                etag, failure = None, error
                if not is_transient(error):
                    break
            # A RADOS gateway does not say it where parts were joined, and a lost reply may have been a success.
            found = None if etag else self.head(key)
            etag = etag or (found and found["e_tag"]) or ""
            if parts.are_all and etag and (bare(etag) == parts.etag() or self._holds(key, parts)):
                return Written(parts.nbytes, etag)
            begun = pieces
        raise (self._sentence("write", key, failure) if failure else self._not_kept(key)) from None

    def _holds(self, key: str, parts: Parts) -> bool:
        """Read a key back, each part twice where it has to be, and tell whether it holds what was sent."""

        def is_there(number: int, digest: bytes) -> bool:
            start = number * parts.part_nbytes
            part = self.read(key, start, min(start + parts.part_nbytes, parts.nbytes))
            return part.key_nbytes == parts.nbytes and md5(part.content).digest() == digest

        return all(any(is_there(*part) for _ in range(2)) for part in enumerate(parts.digests()))

    def get(self, key: str) -> Found | None:
        """Return a key's bytes, or None where there is none.

        Bytes that do not agree with their ETag are fetched again; coming twice alike they are what the server holds.
        """

        def fetch() -> Found:
            reply = obstore.get(self._single, key)
            attributes = {str(name): str(value) for name, value in reply.attributes.items()}
            meta = reply.meta
            return Found(bytes(reply.bytes()), attributes, meta["last_modified"].timestamp(), meta["e_tag"] or "")

        before: Found | None = None
        for _ in self._retry.attempts():
            found = self._ask("read", key, fetch)
            if found is None or "-" in found.etag or self._etags.say(found.etag, found.content):
                return found
            if self._etags.are_md5 is False or (before and before.content == found.content):
                self._etags.are_md5 = bool(self._etags.are_md5)
                return found
            before = found
        raise self._sentence("read", key, None)

    def read(self, key: str, start: int, stop: int) -> Part:
        """Return bytes ``start`` to ``stop`` of a key, fewer where it ends before."""
        return self._read(key, {"range": (start, stop)})

    def read_end(self, key: str, nbytes: int) -> Part:
        """Return the last bytes of a key, fewer where it has not so many."""
        return self._read(key, {"range": {"suffix": nbytes}})

    def _read(self, key: str, options: GetOptions) -> Part:
        def fetch() -> Part:
            try:
                reply = obstore.get(self._single, key, options=options)
                return Part(memoryview(reply.bytes()), reply.meta["size"])
            except BaseError as error:
                if status_of(error) == 416 or "NotPartial" in str(error):  # how servers answer where a key is empty
                    return Part(memoryview(b""), 0)
                raise

        return self._ask("read", key, fetch) or Part(memoryview(b""), 0)

    def head(self, key: str) -> ObjectMeta | None:
        """Return a key's size, time and ETag, or None where there is none."""
        return self._ask("look at", key, lambda: obstore.head(self._single, key))

    def listed(self, key: str) -> ObjectMeta | None:
        """Return the same from the list of keys: one request where there is none, and nothing in between keeps it."""
        for found in self.list(key.rpartition("/")[0], after=key[:-1]):
            if found["path"] >= key:
                return found if found["path"] == key else None
        return None

    def list(self, folder: str, after: str | None = None) -> Iterator[ObjectMeta]:
        """Yield what lies below a folder, in the order of its keys, which is how S3 lists them.

        A listing that breaks off goes on after the last key; one that is out of order was harmed on the way.
        """
        below = f"{folder.rstrip('/')}/" if folder else ""
        ended = False
        while not ended:
            failure: Exception | None = None
            for _ in self._retry.attempts():
                try:
                    page = next(iter(obstore.list(self._single, folder, offset=after, chunk_size=1000)), [])
                except (BaseError, FileNotFoundError) as error:
                    failure = error
                    if is_transient(error):
                        continue
                    raise self._sentence("list", folder, error) from None
                paths = [found["path"] for found in page]
                if all(a < b for a, b in pairwise([after or "", *paths])) and all(p.startswith(below) for p in paths):
                    break
            else:
                raise self._sentence("list", folder, failure) from None
            yield from page
            ended = len(page) < 1000
            after = paths[-1] if paths else after

    def delete(self, key: str) -> None:
        """Remove a key; nothing happens when there is none."""
        self._ask("remove", key, lambda: obstore.delete(self._single, key))

    def _ask(self, doing: str, key: str, request: Callable[[], T]) -> T | None:
        """Return the reply, or None where there is no such key.

        Of what is read, the list of keys has to agree: something in between may not know a key yet.
        """
        failure: Exception | None = None
        for _ in self._retry.attempts():
            try:
                return request()
            except (BaseError, FileNotFoundError) as error:
                failure = error
            if isinstance(failure, FileNotFoundError) and code_of(failure) != "NoSuchBucket" and doing != "write":
                if doing == "remove" or not self.listed(key):
                    return None
            elif not is_transient(failure):
                break
        raise self._sentence(doing, key, failure) from None

    def _not_kept(self, key: str) -> Unavailable:
        where = f"{self.location}/{key}{self._at}"
        return Unavailable(f"{where} is not what was written, also when tried again; check the server.")

    def _sentence(self, doing: str, key: str, error: Exception | None) -> SmaltiError:
        return sentence(f"{doing} {self.location}/{key}", f"{self.name!r}{self._at}", self._at, error, doing == "list")
