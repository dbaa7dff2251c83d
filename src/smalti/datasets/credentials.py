"""Credentials of private datasets: each becomes the header of one request, for whoever asks for it by name.

They come from the environment or ``.env`` through :class:`smalti.settings.Settings`, which shows them as asterisks. A
value leaves this module in a header only; :func:`smalti.datasets.fetch.download` sends that to the origin of its URL
and to no other that it redirects to.
"""

from __future__ import annotations

import json
import stat
from base64 import b64encode
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr

from smalti.datasets.fetch.connection import printable
from smalti.errors import NotFound, Refused
from smalti.formats.regular_file import open_regular
from smalti.settings import Settings

_LARGEST_KAGGLE_JSON_NBYTES = 1 << 16


class Credentials:
    """The credentials of one root.

    >>> Credentials(Settings(dataset_api_key="abc", dataset_username=None)).for_dataset("https://example.org/a.zip")
    {'Authorization': 'Bearer abc'}
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()

    def for_dataset(self, url: str) -> dict[str, str]:
        """Return what a private dataset at ``url`` is asked for with.

        ``DATASET_API_KEY`` alone is sent as a Bearer token; with ``DATASET_USERNAME``, the two are user and password
        of HTTP Basic.

        Raises:
            Refused: the key is not set, or would travel in the clear.
        """
        key, user = self._settings.dataset_api_key, self._settings.dataset_username
        if key is None:
            raise self._missing(url, "DATASET_API_KEY")
        _require_secret_way(url)
        return _basic(user, key) if user else _bearer(key)

    def for_hub(self, url: str) -> dict[str, str]:
        """Return what a file of the Hugging Face hub is asked for with; nothing where there is no token.

        Raises:
            Refused: the token would travel in the clear.
        """
        token = self.hub_token(url)
        return {"Authorization": f"Bearer {token}"} if token else {}

    def hub_token(self, url: str) -> str | None:
        """Return the token itself, for the hub's own library, None where it is not set.

        Raises:
            Refused: the token would travel in the clear.
        """
        if (token := self._settings.huggingface_token) is None:
            return None
        _require_secret_way(url)
        return token.get_secret_value()

    def for_kaggle(self, url: str) -> dict[str, str]:
        """Return what Kaggle is asked with: of ``KAGGLE_USERNAME`` and ``KAGGLE_KEY``, else of ``kaggle.json``.

        Raises:
            Refused: there are none, others may read the file, it is not what Kaggle wrote, or the way is not secret.
        """
        user, key = self._settings.kaggle_username, self._settings.kaggle_key
        if bool(user) != bool(key):
            raise self._missing(url, "KAGGLE_KEY" if user else "KAGGLE_USERNAME")
        if not user or key is None:
            user, key = self._kaggle_json(url)
        _require_secret_way(url)
        return _basic(user, key)

    def _kaggle_json(self, url: str) -> tuple[str, SecretStr]:
        path = self._settings.kaggle_config_dir.expanduser() / "kaggle.json"
        try:
            with open_regular(path) as file:
                mode, text = stat.S_IMODE(path.stat().st_mode), file.read(_LARGEST_KAGGLE_JSON_NBYTES)
        except NotFound:
            raise self._missing(url, "KAGGLE_USERNAME and KAGGLE_KEY", f", or save Kaggle's token as {path}") from None
        if mode & (stat.S_IRGRP | stat.S_IROTH):
            raise Refused(f"others on this machine may read {path} (mode {mode:o}); run chmod 600 {path}.")
        try:
            found = json.loads(text)
            return str(found["username"]), SecretStr(str(found["key"]))
        except (ValueError, TypeError, KeyError):  # not chained: the error of JSON shows the text, key and all
            raise Refused(f"{path} is not what Kaggle wrote; create a new token in your account there.") from None

    def _missing(self, url: str, names: str, other_way: str = "") -> Refused:
        dotenv = self._settings.root / ".env"
        return Refused(
            f"{printable(urlsplit(url))} needs credentials, but {names} {'are' if ' and ' in names else 'is'} not set; "
            f"put {' and '.join(f'{name}=...' for name in names.split(' and '))} into {dotenv}{other_way}."
        )


def _bearer(key: SecretStr) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.get_secret_value()}"}


def _basic(user: str, key: SecretStr) -> dict[str, str]:
    """Return the header of HTTP Basic, in UTF-8. Source: RFC 7617."""
    return {"Authorization": f"Basic {b64encode(f'{user}:{key.get_secret_value()}'.encode()).decode()}"}


def _require_secret_way(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not _is_this_machine(parts.hostname or ""):
        raise Refused(f"credentials go by https only, and {printable(parts)} is not; correct the URL.")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
