"""A dataset from a URL: downloaded once, checked, unpacked, and found in ``data/external`` ever after."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from smalti.contracts.violation import shown
from smalti.datasets.credentials import Credentials
from smalti.datasets.external import progress
from smalti.datasets.external.cache import ExternalCache
from smalti.datasets.external.fetching import Fetching, fetching
from smalti.datasets.external.names import checked_name, file_name, is_archive
from smalti.datasets.external.source import Source, recorded_url, replace_file
from smalti.datasets.fetch import Downloaded, NotGiven, OtherContent, Patience, download, unpack
from smalti.datasets.fetch.connection import printable
from smalti.datasets.fetch.download import checked_sha256
from smalti.errors import ContractBroken, Refused
from smalti.settings import Settings
from smalti.store.commit import sync

_LARGEST_NBYTES = 1 << 62  # the quota decides
_LOGIN = (401, 403)
_PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Origin:
    """What is fetched, and how.

    Attributes:
        url: the file.
        sha256: what it must be; None takes what comes first, and nothing else later.
        unpacked: whether it is unpacked; None leaves that to its name.
        licence, source: to be written down.
        headers: gives the headers to send, credentials among them; asked only when something is downloaded.
        login: what to say where the server wants other credentials.
    """

    url: str
    sha256: str | None = None
    unpacked: bool | None = None
    licence: str | None = None
    source: str | None = None
    headers: Callable[[], Mapping[str, str]] = dict
    login: str = "if it is private, pass auth=True, with DATASET_API_KEY in .env"


def download_dataset(
    url: str,
    name: str,
    force: bool = False,
    sha256: str | None = None,
    *,
    auth: bool = False,
    unpacked: bool | None = None,
    licence: str | None = None,
    source: str | None = None,
    cache: ExternalCache | None = None,
    settings: Settings | None = None,
    patience: Patience = _PATIENCE,
) -> Path:
    """Return the folder ``data/external/<name>`` with the files at ``url``; the network is used only the first time.

    ``data/external/<name>.source.json`` says where they came from, with the SHA-256 of the download, which every later
    download is compared with. The folder stays until the quota needs its room; where that must not happen, read it in
    ``ExternalCache.of().in_use(name)``, or pin it.

    >>> download_dataset("https://example.com/dataset.zip", "custom_dataset")  # doctest: +SKIP
    PosixPath('.../data/external/custom_dataset')

    Args:
        url: ``https`` or ``file``; plain http and addresses of this organisation where ``SMALTI_ALLOWED_ORIGINS`` names
            them.
        name: letters, digits, dots, hyphens and underscores.
        force: download again, and put it in the place of what is there.
        sha256: what the downloaded file must be, 64 hexadecimal digits.
        auth: send ``DATASET_API_KEY`` (and ``DATASET_USERNAME``) to the server of ``url``.
        unpacked: whether the file is unpacked; by default zip and tar archives are, by their name.
        licence, source: written down, as given.
        cache: another one than that of ``settings``.
        settings: other ones than those of the current folder and the environment.
        patience: how long to wait and how often to try.

    Raises:
        Refused: the URL, the name, the content or the quota do not allow it, or a credential is missing.
        ContractBroken: the archive is damaged or hostile.
        NotFound: there is no such file.
        Damaged: the files that are there were changed.
        Unavailable: it could not be had now, or the machine did not let it be written; what came is kept.
    """
    settings = settings or Settings()
    origin = Origin(url, checked_sha256(sha256), unpacked, licence, source)
    if auth:
        key = "DATASET_API_KEY was not accepted; correct it in .env"
        credentials = Credentials(settings)
        origin = Origin(url, origin.sha256, unpacked, licence, source, lambda: credentials.for_dataset(url), login=key)
    return fetch_origin(
        origin,
        name,
        cache or ExternalCache.of(settings),
        force=force,
        allow=allowed_origins(settings),
        patience=patience,
    )


def allowed_origins(settings: Settings) -> tuple[str, ...]:
    """Return the servers that downloads may reach although they are not public or speak plain http."""
    return tuple(part.strip() for part in settings.allowed_origins.split(",") if part.strip())


def fetch_origin(
    origin: Origin,
    name: str,
    cache: ExternalCache,
    *,
    force: bool = False,
    allow: Collection[str] = (),
    patience: Patience = _PATIENCE,
) -> Path:
    """Return the folder of a dataset, which is fetched unless it is there; raises as :func:`download_dataset` does."""
    known = cache.source(checked_name(name))
    if not force and (folder := _found(origin, name, cache, known)):
        return folder
    with fetching(cache, name) as work:
        known = cache.source(name)
        if not force and (folder := _found(origin, name, cache, known)):  # another process has fetched it meanwhile
            return folder
        if force and known is None:
            cache.find(name)  # refuses to replace what was not fetched
        pinned = origin.sha256 or (known.sha256 if known and _is_of(known, origin.url) else None)
        got = _downloaded(origin, name, work, pinned, known, allow, patience)
        staged = _staged(origin, work, got)
        return work.install(
            staged, origin.url, download=(got.sha256, got.nbytes), licence=origin.licence, source=origin.source
        )


def _found(origin: Origin, name: str, cache: ExternalCache, known: Source | None) -> Path | None:
    """Return the folder if it is there, whole and what is wanted.

    Raises:
        Refused: what is there, or was, is something else.
    """
    is_same_content = known is not None and known.sha256 == origin.sha256
    if known and not is_same_content and not _is_of(known, origin.url):
        raise Refused(
            f"{name} was fetched from {shown(known.url)}, and {printable(urlsplit(origin.url))} may be something else; "
            f"choose another name, fetch it with force=True, or give sha256='{known.sha256}' if it is the same file."
        )
    folder = cache.find(name)
    if folder and known and origin.sha256 and not is_same_content:
        raise Refused(
            f"{folder} is of a file with the SHA-256 {known.sha256}, wanted {origin.sha256}; "
            "replace it with force=True, or choose another name."
        )
    return folder


def _is_of(known: Source, url: str) -> bool:
    return (known.url, known.query_sha256) == recorded_url(url)


def _downloaded(
    origin: Origin,
    name: str,
    work: Fetching,
    pinned: str | None,
    known: Source | None,
    allow: Collection[str],
    patience: Patience,
) -> Downloaded:
    target, note = work.folder / "file" / file_name(origin.url), work.folder / "downloaded.json"
    target.parent.mkdir(exist_ok=True)
    url_sha256 = hashlib.sha256(origin.url.encode()).hexdigest()
    earlier = json.loads(note.read_bytes()) if note.exists() else {}
    kept = earlier.get("sha256") if earlier.get("url_sha256") == url_sha256 and target.exists() else None
    if kept is None or pinned not in (None, kept):
        target.unlink(missing_ok=True)
        kept = None
    try:
        with progress.shown(f"downloading {name}") as show:
            got = download(
                origin.url,
                target,
                sha256=pinned or kept,
                headers=origin.headers() if kept is None else {},
                most_nbytes=_LARGEST_NBYTES,
                allow=allow,
                progress=work.metered(show),
                patience=patience,
            )
    except NotGiven as error:
        where = printable(urlsplit(origin.url))
        raise Refused(
            f"{where} was not given (status {error.status}); {origin.login}." if error.status in _LOGIN else str(error)
        ) from error
    except OtherContent as error:
        if origin.sha256 or known is None:
            raise
        raise Refused(
            f"{printable(urlsplit(origin.url))} has changed since {known.retrieved}: its SHA-256 is {error.sha256} and "
            f"was {known.sha256}; find out why, and take it with force=True and sha256='{error.sha256}'."
        ) from error
    replace_file(note, json.dumps({"url_sha256": url_sha256, "sha256": got.sha256}).encode())
    return got


def _staged(origin: Origin, work: Fetching, got: Downloaded) -> Path:
    """Return a folder with the files of the dataset; what was downloaded stays until they are installed."""
    staged = work.folder / "whole"
    for left in (staged, *work.folder.glob(".unpacking-*")):  # by one that died
        shutil.rmtree(left, ignore_errors=True)
    if not (is_archive(got.path.name) if origin.unpacked is None else origin.unpacked):
        staged.mkdir()
        _link(got.path, staged / got.path.name)
        return staged
    try:
        with progress.shown(f"unpacking {got.path.name}") as show:
            meter = work.metered(show, got.nbytes)
            unpack(got.path, staged, most_nbytes=_LARGEST_NBYTES, progress=lambda nbytes: meter(nbytes, None))
    except ContractBroken:
        got.path.unlink()  # downloaded again, it may be sound
        raise
    return staged


def _link(path: Path, other: Path) -> None:
    try:
        other.hardlink_to(path)
    except OSError:  # a file system without hard links
        shutil.copyfile(path, other)
        sync(other)
