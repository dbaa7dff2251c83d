"""Where a bucket is, who asks for it, and at which server: over TLS, or on this machine."""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import urlsplit

from smalti.errors import Refused

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9][A-Za-z0-9._-]{0,127})*)/?")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_ROLES = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


def bucket_and_prefix(url: str) -> tuple[str, str]:
    """Return the two parts of ``s3://bucket/prefix``.

    Raises:
        Refused: it is nothing of the kind.
    """
    match = _URL.fullmatch(url)
    if not match:
        shown = "the store's URL" if "@" in url else repr(url)  # it may hold a secret
        raise Refused(f"{shown} is no place for a store; write s3://bucket/prefix in letters, digits, '.', '_', '-'.")
    return match[1], match[2].strip("/")


def endpoint_in_environment() -> str | None:
    """Return the server that the environment names, as boto3 reads it; None for AWS itself."""
    return next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)


def check_credentials(place: str) -> None:
    """Make sure that the environment holds credentials.

    Raises:
        Refused: it holds none.
    """
    if not all(map(os.environ.get, _KEYS)) and not any(map(os.environ.get, _ROLES)):
        raise Refused(f"there are no credentials for {place}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")


def check_endpoint(endpoint: str) -> bool:
    """Tell whether an endpoint is on this machine.

    Raises:
        Refused: it is no URL of a server, or would send data in the clear over a network.
    """
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.password or parts.query:
        raise Refused("the S3 endpoint is not a plain https://host:port; credentials belong in AWS_ACCESS_KEY_ID.")
    loopback = host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)
    if parts.scheme == "http" and not loopback:
        raise Refused(f"the S3 endpoint {endpoint} is not encrypted; use https, plain http is for this machine only.")
    return loopback


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
