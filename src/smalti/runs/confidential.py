"""What a run is not to keep: values that are called like secrets, and what opens a URL."""

from __future__ import annotations

import re

from smalti.canonical import Json

HIDDEN = "***"
NOT_KEPT = "called like a secret, so its value is not kept"
_SECRET = re.compile(
    r"(?i)(?:^|[_\-. ])(?:password|passwd|passphrase|secret|token|(?:api|access|private|secret)[_-]?key|credentials?)$"
)
_USER = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/?#\s\"'<>]+@")
_QUERY = re.compile(
    r"(?i)([?&;](?:[^=&;\s\"'<>]*(?:password|passwd|secret|token|key|signature|credential)[^=&;\s\"'<>]*|sig|pwd)=)"
    r"[^&;\s\"'<>#]+"
)


def is_secret(name: object) -> bool:
    """Tell whether something is called like a secret.

    >>> [name for name in ("password", "db-password", "HF_TOKEN", "api_key", "n_tokens", "key") if is_secret(name)]
    ['password', 'db-password', 'HF_TOKEN', 'api_key']
    """
    return isinstance(name, str) and _SECRET.search(name) is not None


def without_keys(text: str) -> str:
    """Return text in which the URLs have neither users and passwords nor keys and signatures.

    >>> without_keys("no answer from https://me:pw@host/a?sig=Zm9v&page=2")
    'no answer from https://***@host/a?sig=***&page=2'
    """
    if "://" not in text:
        return text
    return _QUERY.sub(rf"\g<1>{HIDDEN}", _USER.sub(rf"\g<1>{HIDDEN}@", text))


def without_secrets(value: Json, name: str) -> tuple[Json, list[str]]:
    """Return JSON in which no text is called like a secret and no URL has keys, and the names of what was hidden.

    >>> without_secrets({"lr": 0.1, "hub": {"token": "hf_1"}}, "config")
    ({'lr': 0.1, 'hub': {'token': '***'}}, ['config.hub.token'])
    """
    hidden: list[str] = []

    def cleared(one: Json, called: str) -> Json:
        if isinstance(one, str):
            return without_keys(one)
        if isinstance(one, dict):
            return {key: item(key, inner, f"{called}.{key}") for key, inner in one.items()}
        if isinstance(one, list):
            return [cleared(inner, f"{called}.{number}") for number, inner in enumerate(one)]
        return one

    def item(key: str, inner: Json, called: str) -> Json:
        if is_secret(key) and isinstance(inner, str) and inner:
            hidden.append(called)
            return HIDDEN
        return cleared(inner, called)

    return cleared(value, name), hidden


def error_text(error: BaseException) -> str:
    """Return type and text of an exception, the type alone where its text raises another; its URLs have no keys."""
    try:
        return without_keys(f"{type(error).__name__}: {error}".removesuffix(": "))
    except Exception:
        return type(error).__name__
