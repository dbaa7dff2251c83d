"""A prefix of an S3 bucket where files arrive, looked at through Dagster's S3 resource."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from smalti.contracts.violation import shown
from smalti.errors import NotFound, Refused, Unavailable
from smalti.ingest.admit import refuse_too_large
from smalti.ingest.ledger import Found
from smalti.ingest.source import Listing, why_ignored
from smalti.scans.card import LARGEST_NBYTES, SUFFIX

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")
_CHUNK_NBYTES = 1 << 20
_LONGEST_NAME_NBYTES = 200
_GONE = {"NoSuchKey", "404", "PreconditionFailed", "412"}


@dataclass(frozen=True, slots=True)
class Prefix:
    """Files below a prefix. An object appears whole or not at all, so none is ever half-written.

    Attributes:
        client: an S3 client of boto3.
    """

    client: Any
    bucket: str
    prefix: str

    @classmethod
    def at(cls, url: str, client: Any) -> Prefix:
        """Return the source at ``s3://bucket/prefix``.

        Raises:
            Refused: the URL is not such.
        """
        match = _URL.fullmatch(url)
        if not match:
            raise Refused("SMALTI_RAW_URL is no s3://bucket/prefix; correct it.")
        prefix = (match[2] or "").strip("/")
        return cls(client, match[1], f"{prefix}/" if prefix else "")

    @property
    def id(self) -> str:
        """Where it is."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def look(self) -> Listing:
        """Return every object that may be data; its identity is its ETag and size, and those of its card."""
        objects: dict[str, tuple[str, int]] = {}
        with self._sentences("list", ""):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
            for page in pages:
                for entry in page.get("Contents", ()):
                    identity = f"{entry['ETag']}:{entry['Size']}"
                    objects[entry["Key"].removeprefix(self.prefix)] = (identity, entry["Size"])
        found, ignored = [], {}
        for name, (identity, nbytes) in objects.items():
            last = name.rpartition("/")[2]
            if last and (reason := why_ignored(last)):
                if name.removesuffix(SUFFIX) not in objects or not name.endswith(SUFFIX):
                    ignored[name] = reason
            elif last:
                card, _ = objects.get(name + SUFFIX, ("", 0))
                found.append(Found(name, f"{identity} {card}".rstrip(), nbytes, settled=True))
        return Listing(found, ignored)

    def fetch(self, name: str, folder: Path) -> Path:
        """Copy an object, and its card, into a new folder; return its path.

        Raises:
            NotFound: it is gone.
            ContractBroken: it is larger than any file that is read.
            Unavailable: the server does not let it be read.
        """
        folder.mkdir(parents=True)
        last = os.fsencode(name.rpartition("/")[2])[-_LONGEST_NAME_NBYTES:].decode("utf-8", "ignore")
        path = folder / last.lstrip(".")
        self._copy(name, path, None)
        with suppress(NotFound):
            self._copy(name + SUFFIX, path.with_name(path.name + SUFFIX), LARGEST_NBYTES + 1)
        return path

    def _copy(self, name: str, path: Path, most: int | None) -> None:
        with self._sentences("read", name):
            reply = self.client.get_object(Bucket=self.bucket, Key=self.prefix + name)
            with reply["Body"] as body, path.open("xb") as file:
                if most is None:
                    refuse_too_large(name, reply["ContentLength"])
                while chunk := body.read(min(_CHUNK_NBYTES, most or _CHUNK_NBYTES)):
                    file.write(chunk)
                    if most and file.tell() >= most:
                        break

    def path(self, name: str) -> None:
        """Return None: what is in a bucket stays there."""
        return

    def identity(self, name: str) -> None:
        """Return None: nothing is moved, so nobody asks."""
        return

    def cards_alone(self) -> list[str]:
        """Return nothing: what was rejected is still in the bucket, and its card changes its identity."""
        return []

    @contextmanager
    def _sentences(self, doing: str, name: str) -> Iterator[None]:
        """Say in our words what went wrong: a server's own can repeat what was signed."""
        what = f"could not {doing} {self.id}/{shown(name)}".rstrip("/")
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _GONE:
                raise NotFound(f"{what}: it is not there any more.") from None
            raise Unavailable(f"{what}: the server answered {code}; check the bucket and the credentials.") from None
        except BotoCoreError as error:
            raise Unavailable(f"{what}: {type(error).__name__}; check the network and the credentials.") from None
