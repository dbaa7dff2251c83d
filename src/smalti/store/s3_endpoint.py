"""Where an S3 server is asked: over TLS, or on this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from smalti.errors import Refused


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
