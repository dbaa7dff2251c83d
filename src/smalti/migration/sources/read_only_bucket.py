"""Reading a bucket whose keys may be anything, through boto3: keys are listed and got, and nothing else is asked.

MLtrack writes keys with an empty part, ``runs/<run>//manifest.json``, which libraries that take keys for paths of a
file system refuse or change; boto3 sends a key as it is. It finds credentials as the AWS tools do: environment,
profiles, SSO, roles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smalti.errors import NotFound, Refused, Unavailable
from smalti.store.backends.s3.endpoint import check_endpoint

_TIMEOUTS_S = {"connect_timeout": 5, "read_timeout": 60}
_PIECE_NBYTES = 1 << 20
_GONE = frozenset(("404", "NoSuchBucket", "NoSuchKey", "NotFound"))
_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*?))?/*")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a listing: its size, ETag, and when it was written."""

    key: str
    nbytes: int
    etag: str
    at: datetime | None


class ReadOnlyBucket:
    """What lies below a prefix of a bucket."""

    def __init__(self, url: str, endpoint: str | None = None, page_keys: int = 1000) -> None:
        """Take the URL apart; no request is made to the bucket, though one for credentials may be.

        Args:
            endpoint: of a server that is not AWS; by default as the AWS settings say.
            page_keys: how many keys are listed at once.

        Raises:
            Refused: it is not ``s3://bucket/prefix``, the endpoint is not safe, or there are no credentials
                or no such profile.
            NotFound: boto3 is not installed.
        """
        match = _URL.fullmatch(url)
        if not match:
            raise Refused(f"{url!r} names no bucket; write s3://bucket/prefix.")
        self.name, self.prefix = match[1], match[2] or ""
        self._page_keys = page_keys
        self._client = _client(url, endpoint)

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
        with self._told(self.place):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=prefix, PaginationConfig={"PageSize": self._page_keys}
            )
            try:
                for page in pages:
                    yield from map(_key_of, page.get("Contents", ()))
            except (KeyError, ValueError, TypeError) as error:  # what every listing has is not in it
                raise self._foreign(self.place, error) from error

    @contextmanager
    def get(self, key: str) -> Iterator[Iterator[bytes]]:
        """Give the content of a key, piece by piece.

        Raises:
            NotFound: there is no such key.
            Unavailable: the server does not answer, or not with the key.
        """
        told, asked = self._told(f"s3://{self.name}/{key}"), {"Bucket": self.name, "Key": key}
        with told, closing(self._client.get_object(**asked)["Body"]) as body:
            yield body.iter_chunks(_PIECE_NBYTES)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn what boto3 raises into one sentence."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
        from botocore.parsers import ResponseParserError

        at = self._client.meta.endpoint_url
        try:
            yield
        except ClientError as error:
            said = error.response.get("Error", {})
            code, status = str(said.get("Code", "")), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if code in _GONE:
                raise NotFound(f"there is no {what} at {at}; check the name.") from error
            if status in (401, 403):
                raise Unavailable(f"{what} may not be read ({code} at {at}); check the credentials.") from error
            if isinstance(status, int) and 300 <= status < 400:
                raise Refused(f"{what} is in another region ({code} at {at}); set AWS_REGION to it.") from error
            raise Unavailable(f"{what} could not be read: {at} answered {code or status}; try again.") from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise _no_credentials(what) from error
        except ResponseParserError as error:
            raise self._foreign(what, error) from error
        except BotoCoreError as error:
            raise Unavailable(f"{what} at {at} did not answer to its end ({_short(error)}); try again.") from error

    def _foreign(self, what: str, error: Exception) -> Unavailable:
        at = self._client.meta.endpoint_url
        return Unavailable(f"what {at} answers for {what} is none of S3's ({_short(error)}); check the endpoint.")


def _client(url: str, endpoint: str | None) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise NotFound(
            f"boto3 is not installed, and only it reads {url}, whose keys need not be paths; "
            "install it: pip install 'smalti[mltrack]'."
        ) from error
    how = Config(
        s3={"addressing_style": "path"},  # not every server has a host name for each bucket
        user_agent_extra="smalti",
        **_TIMEOUTS_S,
    )
    try:
        session = boto3.session.Session()
        region = session.region_name or "us-east-1"  # where buckets are that nobody says more of
        client = session.client("s3", region_name=region, endpoint_url=endpoint, config=how)
        check_endpoint(client.meta.endpoint_url)
        known = session.get_credentials()
    except (BotoCoreError, ValueError) as error:
        raise Refused(f"the AWS settings cannot be used to read {url}: {_short(error)}") from error
    if known is None:
        raise _no_credentials(url)
    return client


def _no_credentials(what: str) -> Refused:
    return Refused(
        f"there are no credentials for {what}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
    )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _key_of(entry: Any) -> Key:
    return Key(entry["Key"], int(entry["Size"]), str(entry.get("ETag", "")), entry.get("LastModified"))
