"""Reading a bucket whose keys may be anything: signed requests that list and get, and no others.

MLtrack writes keys with an empty part, ``runs/<run>//manifest.json``, which libraries that take keys for paths of a
file system refuse or change. Signature version 4:
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote_plus, urlsplit
from xml.etree import ElementTree

import httpcore

from smalti.errors import NotFound, Refused, Unavailable
from smalti.store.s3_bucket import check_endpoint

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_PAGE_KEYS = 1000  # the most that servers give at once
_EMPTY = hashlib.sha256(b"").hexdigest()
_LARGEST_LISTING_NBYTES = 16 << 20
_TRIES, _PAUSE_S = 5, 0.2
_TIMEOUTS = {"connect": 5.0, "read": 60.0, "write": 60.0, "pool": 60.0}
_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*?))?/*")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a listing: its size, ETag, and when it was written, as the server spells that."""

    key: str
    nbytes: int
    etag: str
    at: str


class ReadOnlyBucket:
    """What lies below a prefix of a bucket, over HTTP/1.1; credentials come from the environment."""

    def __init__(self, url: str, endpoint: str | None = None) -> None:
        """Take the URL apart; no request is made.

        Raises:
            Refused: it is not ``s3://bucket/prefix``, the endpoint is not safe, or there are no credentials.
        """
        match = _URL.fullmatch(url)
        if not match:
            raise Refused(f"{url!r} names no bucket; write s3://bucket/prefix.")
        self.name, self.prefix = match[1], match[2] or ""
        self._region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        given = endpoint or next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
        self._endpoint = given or f"https://s3.{self._region}.amazonaws.com"
        check_endpoint(self._endpoint)
        self._key_id, self._secret = (os.environ.get(f"AWS_{n}", "") for n in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
        if not self._key_id or not self._secret:
            raise Refused(f"there are no credentials for {url}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
        self._pool = httpcore.ConnectionPool()

    @property
    def place(self) -> str:
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    def listed(self) -> Iterator[Key]:
        """Yield every key below the prefix, in order.

        Raises:
            NotFound: there is no such bucket.
            Unavailable: the server does not answer, or not with a listing.
        """
        prefix = f"{self.prefix}/" if self.prefix else ""
        query = {"encoding-type": "url", "list-type": "2", "max-keys": str(_PAGE_KEYS), "prefix": prefix}
        while True:
            with self._reply("", query) as pieces:
                content = _bounded(pieces, f"the listing of {self.place}")
            try:
                page = ElementTree.fromstring(content)
                found = [_key_of(entry) for entry in page.iterfind("{*}Contents")]
            except (ElementTree.ParseError, ValueError, TypeError) as error:
                raise Unavailable(
                    f"the listing of {self.place} is none of S3's ({error}); check the endpoint."
                ) from error
            yield from found
            token = page.findtext("{*}NextContinuationToken")
            if not token or token == query.get("continuation-token"):
                return
            query["continuation-token"] = token

    @contextmanager
    def get(self, key: str) -> Iterator[Iterator[bytes]]:
        """Give the content of a key, piece by piece.

        Raises:
            NotFound: there is no such key.
            Unavailable: the server does not answer, or not with the key.
        """
        with self._reply(key, {}) as pieces:
            yield pieces

    @contextmanager
    def _reply(self, key: str, query: Mapping[str, str]) -> Iterator[Iterator[bytes]]:
        what = f"s3://{self.name}/{key}" if key else self.place
        for attempt in range(_TRIES):
            try:
                url, headers = self._signed(key, query)
                with self._pool.stream("GET", url, headers=headers, extensions={"timeout": _TIMEOUTS}) as reply:
                    if reply.status < 500 or attempt == _TRIES - 1:
                        self._require(reply.status, what)
                        yield reply.iter_stream()
                        return
            except httpcore.ConnectError as error:
                if attempt == _TRIES - 1:
                    raise self._silent(what) from error
            except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
                raise self._silent(what) from error
            time.sleep(_PAUSE_S * 2**attempt)

    def _silent(self, what: str) -> Unavailable:
        return Unavailable(f"{what} at {self._endpoint} did not answer to its end; check the network and try again.")

    def _require(self, status: int, what: str) -> None:
        if status == 404:
            raise NotFound(f"there is no {what} at {self._endpoint}; check the name.")
        if status in (401, 403):
            raise Unavailable(f"{what} may not be read (the server answered {status}); check the credentials.")
        if 300 <= status < 400:
            raise Refused(f"{what} is in another region than {self._region}; set AWS_REGION to it.")
        if status != 200:
            raise Unavailable(f"{what} could not be read: the server answered {status}; try again.")

    def _signed(self, key: str, query: Mapping[str, str]) -> tuple[str, list[tuple[bytes | str, bytes | str]]]:
        """Return the URL and the headers of a request."""
        host = urlsplit(self._endpoint).netloc
        path = f"/{self.name}/{quote(key, safe='/-_.~')}" if key else f"/{self.name}"
        asked = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in sorted(query.items()))
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": host, "x-amz-content-sha256": _EMPTY, "x-amz-date": now}
        if token := os.environ.get("AWS_SESSION_TOKEN"):
            headers["x-amz-security-token"] = token
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = "\n".join(("GET", path, asked, lines, names, _EMPTY))
        scope = f"{now[:8]}/{self._region}/s3/aws4_request"
        text = "\n".join(("AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()))
        secret = f"AWS4{self._secret}".encode()
        for part in scope.split("/"):
            secret = hmac.digest(secret, part.encode(), "sha256")
        signature = hmac.digest(secret, text.encode(), "sha256").hex()
        credential = f"Credential={self._key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        headers["authorization"] = f"AWS4-HMAC-SHA256 {credential}"
        return f"{self._endpoint.rstrip('/')}{path}{'?' if asked else ''}{asked}", [*headers.items()]


def _bounded(pieces: Iterator[bytes], what: str) -> bytes:
    content = b""
    for piece in pieces:
        content += piece
        if len(content) > _LARGEST_LISTING_NBYTES:
            raise Unavailable(f"{what} is far larger than S3's are; check the endpoint.")
    return content


def _key_of(entry: Any) -> Key:
    key, size, etag, at = (entry.findtext(f"{{*}}{name}") for name in ("Key", "Size", "ETag", "LastModified"))
    if key is None or size is None:
        raise ValueError("an entry without a key or a size")
    return Key(unquote_plus(key, errors="strict"), int(size), etag or "", at or "")
