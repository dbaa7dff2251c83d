"""Where a dataset in ``data/external`` came from and what its bytes are: the small JSON file beside it."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from smalti.contracts.violation import shown
from smalti.datasets.fetch.connection import without_secrets
from smalti.errors import Damaged
from smalti.store.commit import sync, write_file


class Source(BaseModel):
    """What is written down at the first fetch, and compared at every later one; it outlives the data.

    Attributes:
        url: without its query, which may hold a secret.
        query_sha256: of the query, which may say what the file is; None where there is none.
        sha256, nbytes: of the file that was downloaded. Of a dataset of several files, ``sha256`` is ``files_sha256``.
        retrieved: when, in UTC.
        licence, source: as whoever fetched it stated them.
        revision: the commit it is of, where it came out of a repository.
        files, files_nbytes: how many files there are, once unpacked, and their size together.
        files_sha256: of the lines ``<sha256>  <path>`` of all files, sorted by path, as ``sha256sum`` writes them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    query_sha256: str | None = None
    sha256: str
    nbytes: int
    retrieved: str
    licence: str | None = None
    source: str | None = None
    revision: str | None = None
    files: int
    files_nbytes: int
    files_sha256: str


def recorded_url(url: str) -> tuple[str, str | None]:
    """Return a URL as it may be written down, and the digest of the query that is left out.

    >>> recorded_url("https://example.org/a.zip?id=7")[0]
    'https://example.org/a.zip'
    """
    parts = urlsplit(url)
    return without_secrets(parts), hashlib.sha256(parts.query.encode()).hexdigest() if parts.query else None


def now() -> str:
    """Return the time in UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_source(path: Path) -> Source | None:
    """Return what is written down, None where nothing is.

    Raises:
        Damaged: it cannot be read as that.
    """
    try:
        return Source.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise Damaged(
            f"{shown(str(path))} does not say where the data beside it came from; restore it, "
            "or remove it and the data to fetch them anew."
        ) from error


def write_source(path: Path, source: Source) -> None:
    """Write it down, in one step and durably."""
    replace_file(path, (json.dumps(source.model_dump(), indent=2, ensure_ascii=False) + "\n").encode())


def replace_file(path: Path, content: bytes) -> None:
    """Give a file new content in one step, durably."""
    beside = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        write_file(beside, [content])
        beside.chmod(0o644)
        os.replace(beside, path)  # noqa: PTH105
    finally:
        beside.unlink(missing_ok=True)
    sync(path.parent)
