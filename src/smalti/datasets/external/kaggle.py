"""The files of a Kaggle competition, through Kaggle's public interface."""

from __future__ import annotations

import re
from pathlib import Path

from smalti.contracts.violation import shown
from smalti.datasets.credentials import Credentials
from smalti.datasets.external.cache import ExternalCache
from smalti.datasets.external.dataset import Origin, allowed_origins, fetch_origin
from smalti.datasets.fetch import Patience
from smalti.errors import Refused
from smalti.settings import Settings

API = "https://www.kaggle.com/api/v1"

_PATIENCE = Patience()
_COMPETITION = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")


def fetch_kaggle(
    competition: str,
    name: str | None = None,
    force: bool = False,
    sha256: str | None = None,
    *,
    licence: str | None = None,
    api: str = API,
    cache: ExternalCache | None = None,
    settings: Settings | None = None,
    patience: Patience = _PATIENCE,
) -> Path:
    """Return the folder ``data/external/<name>`` with the files of a competition, fetched unless they are there.

    Kaggle asks for an account that has accepted the competition's rules: ``KAGGLE_USERNAME`` and ``KAGGLE_KEY``, or the
    ``kaggle.json`` that it gives out.

    Args:
        competition: as in its address, such as ``titanic``.
        name: of the dataset here; by default that of the competition.
        force, sha256, licence, cache, settings, patience: as in :func:`smalti.datasets.external.download_dataset`.
        api: the address of the interface.

    Raises:
        Refused, NotFound, Damaged, Unavailable: as :func:`smalti.datasets.external.download_dataset` does.
    """
    if not _COMPETITION.fullmatch(competition):
        raise Refused(f"{shown(competition)!r} is no competition; give the last part of its address, such as titanic.")
    settings = settings or Settings()
    url = f"{api}/competitions/data/download-all/{competition}"
    rules = f"https://www.kaggle.com/c/{competition}/rules"
    origin = Origin(
        url,
        sha256=sha256,
        unpacked=True,
        licence=licence,
        source=f"https://www.kaggle.com/c/{competition}",
        headers=lambda: Credentials(settings).for_kaggle(url),
        login=f"accept the rules at {rules} with the account of your Kaggle key, or correct the key",
    )
    return fetch_origin(
        origin,
        name or competition,
        cache or ExternalCache.of(settings),
        force=force,
        allow=allowed_origins(settings),
        patience=patience,
    )
