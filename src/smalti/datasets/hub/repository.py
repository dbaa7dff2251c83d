"""What the hub says of a dataset repository: the commit that a revision means, and the files of that commit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, ConfigDict

from smalti.contracts.violation import shown
from smalti.datasets.external.source import now
from smalti.errors import NotFound, Refused, Unavailable

_COMMIT = re.compile(r"[0-9a-f]{40}")
_LONGEST_WAIT_S = 60.0
_MOST_FILES = 50_000  # beyond that, the hub may leave files out


class HubFile(BaseModel):
    """A file of a commit, with the digest the hub states: SHA-256 of a large one, Git's SHA-1 of a small one."""

    model_config = ConfigDict(frozen=True)

    nbytes: int
    sha256: str | None = None
    blob_sha1: str | None = None


class Commit(BaseModel):
    """What a revision meant when it was first asked for.

    Attributes:
        endpoint: the hub that was asked.
        commit: 40 hexadecimal digits.
        resolved: when, in UTC.
        licence: as the card of the repository states it.
        files: the Parquet files, by their path.
    """

    model_config = ConfigDict(frozen=True)

    endpoint: str
    commit: str
    resolved: str
    licence: str | None
    files: dict[str, HubFile]


def ask(repository: str, revision: str, endpoint: str, token: str | None) -> Commit:
    """Ask the hub, through ``huggingface_hub``, what a revision is.

    Raises:
        NotFound: there is no such repository or revision, or ``huggingface_hub`` is not installed.
        Refused: it is gated, or what was answered is not what a hub answers.
        Unavailable: the hub cannot be reached now.
    """
    api = _library().HfApi(endpoint=endpoint, token=token or False, library_name="smalti")
    with _hub_errors(repository, revision, endpoint):
        info = api.dataset_info(repository, revision=revision, files_metadata=True, timeout=_LONGEST_WAIT_S)
    siblings = info.siblings or []
    if not _COMMIT.fullmatch(info.sha or "") or len(siblings) >= _MOST_FILES:
        what = f"{len(siblings)} files, too many to list" if siblings else "no commit"
        raise Refused(f"{endpoint} states {what} for {repository}; name another repository or endpoint.")
    licence = getattr(info.card_data, "license", None) if info.card_data else None
    return Commit(
        endpoint=endpoint,
        commit=str(info.sha),
        resolved=now(),
        licence=", ".join(licence) if isinstance(licence, list) else licence,
        files={_path(file, endpoint): _file(file) for file in siblings if file.rfilename.endswith(".parquet")},
    )


def address(repository: str, path: str, commit: Commit) -> str:
    """Return the URL of a file of a commit."""
    return str(
        _library().hf_hub_url(repository, path, repo_type="dataset", revision=commit.commit, endpoint=commit.endpoint)
    )


def _path(sibling: Any, endpoint: str) -> str:
    """Return the path of a file, which becomes one below ``data/external``."""
    path = str(sibling.rfilename)
    if not path.isprintable() or "\\" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise Refused(f"{endpoint} states a file {shown(path)!r}, which leads out of its folder; name another dataset.")
    return path


def _file(sibling: Any) -> HubFile:
    return HubFile(
        nbytes=sibling.size or 0,
        sha256=sibling.lfs.sha256 if sibling.lfs else None,
        blob_sha1=None if sibling.lfs else sibling.blob_id,
    )


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise NotFound(
            "huggingface_hub is not installed, and only it asks the hub; install it: pip install 'smalti[hub]'."
        ) from error
    return huggingface_hub


@contextmanager
def _hub_errors(repository: str, revision: str, endpoint: str) -> Iterator[None]:
    errors = _library().errors
    name, page = shown(repository), f"{endpoint}/datasets/{shown(repository)}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise Refused(
            f"{name} is gated; accept its terms at {page}, and put HUGGINGFACE_TOKEN=... of that account into .env."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise NotFound(
            f"there is no dataset {name} at {endpoint}, or it is private; correct the name, "
            "or put HUGGINGFACE_TOKEN=... of an account that may read it into .env."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise NotFound(f"{name} has no revision {shown(revision)!r}; {page} lists them.") from error
    except errors.HFValidationError as error:
        raise Refused(f"{name} cannot name a dataset of the hub; write owner/name.") from error
    except errors.OfflineModeIsEnabled as error:
        raise Unavailable(f"{name} is not here, and HF_HUB_OFFLINE forbids to ask for it; unset that.") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status == 429 or status >= 500:
            raise Unavailable(f"{endpoint} answered {status} about {name}; try again later.") from error
        raise Refused(
            f"{endpoint} does not give {name} (status {status}); correct HUGGINGFACE_TOKEN in .env, or take it out."
        ) from error
    except errors.HTTPError as error:  # of the library below; all that the network does
        raise Unavailable(
            f"{endpoint} could not be asked about {name} ({type(error).__name__}); try again later."
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(f"{endpoint} does not answer as a hub does; correct the endpoint.") from error
