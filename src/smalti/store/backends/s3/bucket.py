"""One S3 bucket, spoken to through obstore: keys in, bytes out, and every failure one sentence."""

from __future__ import annotations

import ipaddress
import os
import re
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from smalti.errors import NotFound, Refused, SmaltiError, Unavailable

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta

PART_NBYTES = 8 * 1024 * 1024
PARTS_AT_ONCE = 8
_UPLOADS_AT_ONCE = 2  # in parts, each of which keeps some in memory
_MOST_PARTS = 10_000  # of one upload, by the rules of S3
_TRIES = 3  # of a creation whose outcome is unknown, each looked into
_WRITER = "smalti-writer"
_NO_ETAG = '"00000000000000000000000000000000"'
_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9][A-Za-z0-9._-]{0,127})*)/?")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_ROLES = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_FORBIDDEN = {401, 403}
_CONFLICT = {409, 412}
_NOT_IMPLEMENTED = 501

Piece = bytes | memoryview


class Forbidden(Unavailable):
    """The server knows the request and does not allow it."""


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

    def __init__(self, url: str, endpoint: str | None = None) -> None:
        """Take credentials and region from the environment, as boto3 does; no request is made.

        Raises:
            Refused: the URL is not ``s3://bucket/prefix``, the endpoint is not safe, or there are no credentials.
        """
        match = _URL.fullmatch(url)
        if not match:
            shown = "the store's URL" if "@" in url else repr(url)  # it may hold a secret
            raise Refused(
                f"{shown} is no place for a store; write s3://bucket/prefix in letters, digits, '.', '_', '-'."
            )
        self.name, prefix = match[1], match[2].strip("/")
        self.place = f"s3://{self.name}/{prefix}".rstrip("/")
        endpoint = endpoint or next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
        self._at = f" at {endpoint}" if endpoint else ""
        self.identity = f"{self.place}{self._at}"
        loopback = check_endpoint(endpoint) if endpoint else False
        if not all(map(os.environ.get, _KEYS)) and not any(map(os.environ.get, _ROLES)):
            raise Refused(
                f"there are no credentials for {self.place}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            )
        self._uploads = threading.BoundedSemaphore(_UPLOADS_AT_ONCE)
        self._honours_if_match = False  # known when a key is first replaced
        self._store = S3Store(
            self.name,
            prefix=prefix or None,
            # Single deletions: not every server knows the bulk request.
            config={"disable_bulk_delete": True, **({"aws_endpoint_url_s3": endpoint} if endpoint else {})},
            client_options={
                "allow_http": loopback,
                "connect_timeout": timedelta(seconds=5),
                "read_timeout": timedelta(seconds=30),
                "timeout": timedelta(minutes=5),
            },
            retry_config={
                "max_retries": 5,
                "retry_timeout": timedelta(minutes=1),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=5),
                    "base": 2,
                },
            },
        )

    def create(self, key: str, content: bytes, attributes: dict[str, str] | None = None) -> bool:
        """Write a key that must not exist; tell whether this call did.

        The writer's mark beside the bytes tells our own write, whose reply was lost, from somebody else's.
        """
        mark = uuid.uuid4().hex
        failure: Exception | None = None
        for _ in range(_TRIES):
            try:
                obstore.put(
                    self._store,
                    key,
                    content,
                    mode="create",
                    attributes={**(attributes or {}), _WRITER: mark},
                    use_multipart=False,
                )
                return True
            except AlreadyExistsError:
                pass
            except (BaseError, FileNotFoundError) as error:
                if _is_final(_status(error)):
                    raise self._sentence("create", key, error) from None
                failure = error
            if found := self.get(key):
                return found.attributes.get(_WRITER) == mark
        raise self._sentence("create", key, failure) from None

    def replace(self, key: str, content: bytes, was: bytes) -> bool:
        """Write a key that must hold ``was``; tell whether this call did.

        Raises:
            Refused: the server ignores If-Match, and would let writers replace each other's changes.
        """
        mark = uuid.uuid4().hex
        failure: Exception | None = None
        for _ in range(_TRIES):
            found = self.get(key)
            if found is None or found.attributes.get(_WRITER) == mark:
                return found is not None
            if found.content != was:
                return False
            if not self._honours_if_match:
                if any(self._put_over(key, was, etag, found.attributes) for etag in _spellings(_NO_ETAG)):
                    raise Refused(f"the server of {self.place} ignores If-Match, so {key} cannot be changed safely.")
                self._honours_if_match = True
            try:
                if any(self._put_over(key, content, etag, {_WRITER: mark}) for etag in _spellings(found.etag)):
                    return True
            except SmaltiError as error:
                failure = error
        raise failure or self._sentence("replace", key, None)

    def _put_over(self, key: str, content: bytes, etag: str, attributes: dict[str, str]) -> bool:
        """Write a key that must have this ETag; tell whether it had."""
        with self._failures("replace", key):
            try:
                obstore.put(self._store, key, content, mode={"e_tag": etag}, attributes=attributes, use_multipart=False)
            except PreconditionError:
                return False
            return True

    def put(
        self, key: str, pieces: Iterable[Piece], attributes: dict[str, str] | None = None, most_nbytes: int = 0
    ) -> Written:
        """Write a key, whatever is there; more than one part's worth goes up in parallel, as the pieces come.

        Args:
            most_nbytes: the pieces have no more; needed where they may be more than 80 GB.
        """
        part_nbytes = max(PART_NBYTES, -(-most_nbytes // _MOST_PARTS))
        nbytes = 0

        def counted() -> Iterator[Piece]:
            nonlocal nbytes
            for piece in pieces:
                nbytes += len(piece)
                yield from (piece[at : at + part_nbytes] for at in range(0, len(piece), part_nbytes))

        stream = counted()
        first = []
        with self._failures("write", key):
            for piece in stream:
                first.append(piece)
                if nbytes > part_nbytes:
                    break
            if nbytes <= part_nbytes:
                reply = obstore.put(self._store, key, b"".join(first), attributes=attributes, use_multipart=False)
            else:
                with self._uploads:
                    reply = obstore.put(
                        self._store,
                        key,
                        chain(first, stream),
                        attributes=attributes,
                        use_multipart=True,
                        chunk_size=part_nbytes,
                        max_concurrency=PARTS_AT_ONCE,
                    )
        # A RADOS gateway does not say it where parts were joined.
        found = None if reply["e_tag"] else self.head(key)
        return Written(nbytes, reply["e_tag"] or (found and found["e_tag"]) or "")

    def get(self, key: str) -> Found | None:
        """Return a key's bytes, or None where there is none."""
        with self._failures("read", key):
            try:
                reply = obstore.get(self._store, key)
                attributes = {str(name): str(value) for name, value in reply.attributes.items()}
                meta = reply.meta
                return Found(bytes(reply.bytes()), attributes, meta["last_modified"].timestamp(), meta["e_tag"] or "")
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return None

    def read(self, key: str, start: int, stop: int) -> Part:
        """Return bytes ``start`` to ``stop`` of a key, fewer where it ends before."""
        return self._read(key, {"range": (start, stop)})

    def read_end(self, key: str, nbytes: int) -> Part:
        """Return the last bytes of a key, fewer where it has not so many."""
        return self._read(key, {"range": {"suffix": nbytes}})

    def _read(self, key: str, options: GetOptions) -> Part:
        with self._failures("read", key):
            try:
                reply = obstore.get(self._store, key, options=options)
                return Part(memoryview(reply.bytes()), reply.meta["size"])
            except FileNotFoundError:
                return Part(memoryview(b""), 0)
            except BaseError as error:
                if _status(error) == 416 or "NotPartial" in str(error):  # how servers answer where a key is empty
                    return Part(memoryview(b""), 0)
                raise

    def head(self, key: str) -> ObjectMeta | None:
        """Return a key's size, time and ETag, or None where there is none."""
        with self._failures("look at", key):
            try:
                return obstore.head(self._store, key)
            except FileNotFoundError:
                return None

    def list(self, folder: str, after: str | None = None) -> Iterator[ObjectMeta]:
        """Yield what lies below a folder, in the order of its keys, which is how S3 lists them."""
        with self._failures("list", folder):
            for page in obstore.list(self._store, folder, offset=after, chunk_size=1000):
                yield from page

    def delete(self, key: str) -> None:
        """Remove a key; nothing happens when there is none."""
        with self._failures("remove", key):
            obstore.delete(self._store, key)

    @contextmanager
    def _failures(self, doing: str, key: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise self._sentence(doing, key, error) from None

    def _sentence(self, doing: str, key: str, error: Exception | None) -> SmaltiError:
        """Say in our words what went wrong: a server's own can repeat what was signed, session tokens included."""
        what = f"could not {doing} {self.place}/{key}{self._at}"
        status, code = _status(error), _code(error)
        if code == "NoSuchBucket" or (status == 404 and doing == "list"):
            return NotFound(f"there is no bucket {self.name!r}{self._at}; create it, or mend the store's URL.")
        answered = f"the server answered {status} {code}".rstrip()
        if status in _FORBIDDEN:
            return Forbidden(
                f"{what}: {answered}; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they are allowed to do."
            )
        if status == _NOT_IMPLEMENTED:
            return Refused(f"{what}: {answered}; it lacks a request a store needs, use another server.")
        if status and 300 <= status < 400:
            return Refused(f"{what}: {answered}; the bucket is in another region, set AWS_REGION to it.")
        if status:
            return Unavailable(f"{what}: {answered}; try again, and if it stays so ask who runs the server.")
        return Unavailable(
            f"{what}: no complete answer came, also when tried again; check the network and the endpoint."
        )


def _spellings(etag: str) -> tuple[str, str]:
    """Return an ETag as HTTP writes it, and as a RADOS gateway compares it."""
    return etag, etag.strip('"')


def check_endpoint(endpoint: str) -> bool:
    """Tell whether an endpoint is on this machine.

    Raises:
        Refused: it is no URL of a server, or would send data in the clear over a network.
    """
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.password or parts.query:
        raise Refused("the S3 endpoint is not a plain https://host:port; credentials belong in AWS_ACCESS_KEY_ID.")
    loopback = host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)
    if parts.scheme == "http" and not loopback:
        raise Refused(f"the S3 endpoint {endpoint} is not encrypted; use https, plain http is for this machine only.")
    return loopback


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_final(status: int | None) -> bool:
    """Tell whether an answer to a creation rules out that the key was written."""
    return status is not None and (status < 500 or status == _NOT_IMPLEMENTED) and status not in _CONFLICT


def _status(error: Exception | None) -> int | None:
    match = re.search(r"status code: (\d{3})", str(error))
    return int(match[1]) if match else None


def _code(error: Exception | None) -> str:
    match = re.search(r"<Code>(\w{1,64})</Code>", str(error))
    return match[1] if match else ""
