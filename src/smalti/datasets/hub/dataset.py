"""A split of a dataset of the hub, fetched once at one commit and read from ``data/external`` ever after."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import ValidationError

from smalti.contracts.violation import shown
from smalti.datasets.credentials import Credentials
from smalti.datasets.external import progress
from smalti.datasets.external.cache import ExternalCache
from smalti.datasets.external.dataset import allowed_origins
from smalti.datasets.external.fetching import Fetching, fetching
from smalti.datasets.external.names import REPOSITORY, joined_name
from smalti.datasets.external.source import replace_file
from smalti.datasets.fetch import NotGiven, Patience, download
from smalti.datasets.fetch.connection import origin
from smalti.datasets.hub.layout import chosen, require_all_shards, splits
from smalti.datasets.hub.repository import Commit, HubFile, address, ask
from smalti.errors import Damaged, Refused
from smalti.settings import Settings

if TYPE_CHECKING:
    import pyarrow

MAIN = "main"

_PATIENCE = Patience()
_REPOSITORY = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)
_REVISION = re.compile(r"[\w./-]{1,200}", re.ASCII)


def fetch_hub_dataset(
    repository: str,
    config: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    endpoint: str | None = None,
    *,
    force: bool = False,
    refresh: bool = False,
    cache: ExternalCache | None = None,
    settings: Settings | None = None,
    patience: Patience = _PATIENCE,
) -> pyarrow.Table:
    """Return one split of a dataset of the hub, as a table.

    The first time, ``huggingface_hub`` is asked which commit the revision is; that and its files are written down in
    ``data/external/<owner>--<name>.repository.json``, and every split that is fetched later is of the same commit.
    A split that was fetched is read without the network.

    >>> fetch_hub_dataset("Salesforce/wikitext", "wikitext-103-raw-v1", "train")  # doctest: +SKIP

    Args:
        repository: ``owner/name``.
        config, split: may be left out where there is only one.
        revision: a branch, tag or commit; by default ``main``.
        endpoint: the hub; by default https://huggingface.co, or the mirror that ``HF_ENDPOINT`` names.
            ``HUGGINGFACE_TOKEN``, where it is set, is sent there and nowhere else.
        force: ask anew what the revision is, and fetch the split anew.
        refresh: ask anew what the revision is, and fetch the split only if it is not of that commit.
        cache: another one than that of ``settings``.
        settings: other ones than those of the current folder and the environment.
        patience: how long to wait for the files and how often to try.

    Raises:
        NotFound: there is no such repository, revision, config or split, or ``huggingface_hub`` is not installed.
        Refused: the repository is gated, several things fit, or the quota does not allow it.
        ContractBroken: a file is no sound Parquet file.
        Damaged: what was fetched was changed on disk.
        Unavailable: it could not be had now; what came is kept.
    """
    settings = settings or Settings()
    cache = cache or ExternalCache.of(settings)
    where = (endpoint or settings.hub_endpoint).rstrip("/")
    commit = _commit(repository, revision, where, cache, settings, force or refresh)
    found = splits(commit.files)
    config, split = chosen(repository, found, config, split)
    paths = found[config][split]
    require_all_shards(repository, paths)
    name = joined_name(repository.replace("/", "--"), config, split, *_suffix(revision))
    if force or not _is_there(cache, name, commit):
        with fetching(cache, name) as work:
            if force or not _is_there(cache, name, commit):  # another process may have fetched it meanwhile
                _fetch(repository, {path: commit.files[path] for path in paths}, commit, work, settings, patience)
    with cache.in_use(name) as folder:
        return _read([folder / path for path in paths])


def pinned_commit(repository: str, revision: str | None = None, cache: ExternalCache | None = None) -> str | None:
    """Return the commit that a revision was pinned to when it was first fetched; None before that."""
    known = _known(repository, cache or ExternalCache.of()).get(revision or MAIN)
    return known.commit if known else None


def _commit(
    repository: str, revision: str | None, endpoint: str, cache: ExternalCache, settings: Settings, force: bool
) -> Commit:
    if not _REPOSITORY.fullmatch(repository) or not _REVISION.fullmatch(revision or MAIN):
        raise Refused(f"{shown(repository)!r} at {shown(revision or MAIN)!r} is no repository and revision of the hub.")
    known = None if force else _known(repository, cache).get(revision or MAIN)
    if known is None:
        token = Credentials(settings).hub_token(endpoint)
        known = ask(repository, revision or MAIN, endpoint, token)
        name = joined_name(repository.replace("/", "--"))
        with fetching(cache, name):
            earlier = _known(repository, cache)
            if not force and (revision or MAIN) in earlier:  # another process was quicker
                known = earlier[revision or MAIN]
            else:
                commits = {**earlier, revision or MAIN: known}
                document = {key: value.model_dump(exclude_none=True) for key, value in commits.items()}
                replace_file(cache.folder / f"{name}{REPOSITORY}", json.dumps(document, indent=2).encode())
    if known.endpoint != endpoint:
        raise Refused(
            f"{repository} was fetched from {known.endpoint}, not from {endpoint}; "
            "name that endpoint, or fetch it anew with force=True."
        )
    return known


def _known(repository: str, cache: ExternalCache) -> dict[str, Commit]:
    path = cache.folder / f"{joined_name(repository.replace('/', '--'))}{REPOSITORY}"
    try:
        return {revision: Commit.model_validate(of) for revision, of in json.loads(path.read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, ValidationError) as error:
        raise Damaged(f"{path} does not say which commits were fetched; restore it, or remove it.") from error


def _suffix(revision: str | None) -> tuple[str, ...]:
    return () if revision in (None, MAIN) else (str(revision),)


def _is_there(cache: ExternalCache, name: str, commit: Commit) -> bool:
    source = cache.source(name)
    if source and source.revision is None:
        raise Refused(f"{cache.folder / name} is of {shown(source.url)}, not of the hub; move it away, record and all.")
    return source is not None and source.revision == commit.commit and cache.find(name) is not None


def _fetch(
    repository: str,
    files: dict[str, HubFile],
    commit: Commit,
    work: Fetching,
    settings: Settings,
    patience: Patience,
) -> None:
    staged = work.folder / commit.commit
    for left in work.folder.iterdir():  # of another commit
        if left != staged:
            shutil.rmtree(left)
    of_nbytes = sum(file.nbytes for file in files.values())
    work.reserve(of_nbytes)
    before = 0
    with progress.shown(f"downloading {repository}") as show:
        for path, file in files.items():
            url, target = address(repository, path, commit), staged / path
            target.parent.mkdir(parents=True, exist_ok=True)
            meter = _shifted(show, before, of_nbytes)
            try:
                download(
                    url,
                    target,
                    sha256=file.sha256,
                    headers=Credentials(settings).for_hub(url),
                    most_nbytes=file.nbytes,
                    allow=(*allowed_origins(settings), origin(urlsplit(commit.endpoint))),
                    progress=meter,
                    patience=patience,
                )
            except NotGiven as error:
                raise Refused(
                    f"{commit.endpoint} does not give {shown(path)} of {repository} (status {error.status}); "
                    f"accept its terms at {commit.endpoint}/datasets/{repository}, and put HUGGINGFACE_TOKEN=... of "
                    "that account into .env."
                ) from error
            _require_content(target, file)
            before += file.nbytes
    page = f"{commit.endpoint}/datasets/{repository}"
    work.install(staged, f"{page}/tree/{commit.commit}", licence=commit.licence, source=page, revision=commit.commit)


def _shifted(show: progress.Show, before: int, of_nbytes: int) -> progress.Show:
    return lambda nbytes, _of_nbytes: show(before + nbytes, of_nbytes)


def _require_content(path: Path, file: HubFile) -> None:
    """Compare a file that Git keeps with Git's digest of it. Source: gitbook "Git Internals - Git Objects"."""
    nbytes = path.stat().st_size
    found = ""
    if file.blob_sha1:
        content = path.read_bytes()
        found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if nbytes != file.nbytes or found != (file.blob_sha1 or ""):
        path.unlink()
        raise Refused(f"{path.name} is not what the hub says it is; nothing of it was kept, try again.")


def _read(paths: list[Path]) -> pyarrow.Table:
    import pyarrow

    from smalti.formats import TableContent, read_file

    tables = []
    for path in paths:
        content = read_file(path)
        if not isinstance(content, TableContent):
            raise Refused(f"{path} is no Parquet file, whatever its name says; name another split.")
        tables.append(content.table)
    try:
        return pyarrow.concat_tables(tables)
    except pyarrow.ArrowInvalid as error:
        raise Refused(f"the files of {paths[0].parent} have different columns; read them one by one.") from error
