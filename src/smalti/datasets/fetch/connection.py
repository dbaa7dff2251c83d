"""Which URLs and addresses a download may reach, and connections to the very addresses that were checked.

A name is resolved once, all its addresses are checked, and one of them is connected to: a name server that answers
differently the second time (DNS rebinding) is never asked a second time.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpcore

from smalti.contracts.violation import shown
from smalti.errors import Refused

Address = IPv4Address | IPv6Address
Resolve = Callable[..., list[tuple[Any, ...]]]

_ALLOWING = "SMALTI_ALLOWED_ORIGINS"
_PORTS = {"https": 443, "http": 80}
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")  # RFC 3986
_UP_TO_AT = re.compile(r".*@")  # a password with a slash in it ends up in the path

# Not public, whatever the ipaddress of older Pythons says; in IPv6 all else is local, multicast or unassigned.
_NOT_PUBLIC = tuple(map(ip_network, ("192.0.0.0/24", "2002::/16", "3fff::/20")))
_GLOBAL_IPV6 = ip_network("2000::/3")
_EMBEDDED_IPV4 = tuple(map(ip_network, ("::ffff:0:0/96", "64:ff9b::/96")))  # mapped, and translated by NAT64
_ORGANISATION = tuple(
    map(ip_network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"))
)


def checked_url(text: str, allow: Collection[str] = ()) -> SplitResult:
    """Return the parts of a URL that may be fetched: ``https``, ``file``, or ``http`` of an origin that is allowed.

    Args:
        text: the URL.
        allow: origins such as ``http://127.0.0.1`` or ``https://data.beamline:8443``; without a port, every port.

    Raises:
        Refused: another scheme, no host, a user name or password in it, or characters that no URL has.
    """
    if not _URL.fullmatch(text):  # nothing of such a text is shown: a password could be anywhere in it
        raise Refused("the URL is empty or holds characters that no URL has; percent-encode them.")
    try:
        url = urlsplit(text)
        _ = url.port  # checked only when asked for
    except ValueError as error:
        raise Refused("the URL has a malformed host or port; write https://host/path.") from error
    if url.username is not None or url.password is not None:
        raise Refused(f"the URL {printable(url)} holds a user name or password; give those as headers.")
    if url.scheme == "file":
        if url.netloc not in ("", "localhost") or not url.path.startswith("/"):
            raise Refused(f"the URL {printable(url)} names a file of another machine; write file:///path/of/the/file.")
        return url
    if not url.hostname:
        raise Refused(f"the URL {printable(url)} has no host; write https://host/path, or file:///path/of/a/file.")
    if url.scheme != "https" and not (url.scheme == "http" and _is_allowed(url, allow)):
        allowed = f", or, if you trust the way to it, set {_ALLOWING}={shown(origin(url))}" * (url.scheme == "http")
        raise Refused(f"the URL {printable(url)} is neither https nor file; give one of those{allowed}.")
    return url


def printable(url: SplitResult) -> str:
    """Return a URL as it may be printed: without user, password and query, where secrets are, and not too long.

    >>> printable(urlsplit("https://me:secret@example.org/a.npz?token=1"))
    'https://example.org/a.npz'
    """
    return shown(without_secrets(url))


def without_secrets(url: SplitResult) -> str:
    """Return a URL as it may be written down: whole, but for user, password, query and fragment."""
    return origin(url) + _UP_TO_AT.sub("/***@", url.path)


def origin(url: SplitResult, port: int | None = None) -> str:
    """Return scheme, host and port; ``port`` stands in where the URL has none."""
    host, port = url.hostname or "", url.port or port
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"


def same_origin(one: SplitResult, other: SplitResult) -> bool:
    """Tell whether two http or https URLs lead to the same server, by scheme, host and port."""
    return origin(one, _PORTS[one.scheme]) == origin(other, _PORTS[other.scheme])


def _is_allowed(url: SplitResult, allow: Collection[str]) -> bool:
    of_any_port = origin(url._replace(netloc=url.netloc.removesuffix(f":{url.port}")))
    return bool({of_any_port, origin(url, _PORTS[url.scheme])} & set(allow))


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the public internet, whatever way it is written in IPv6.

    >>> is_public(ip_address("8.8.8.8")), is_public(ip_address("::ffff:169.254.169.254"))
    (True, False)
    """
    address = _plain(address)
    if address.is_multicast or not address.is_global or any(address in net for net in _NOT_PUBLIC):
        return False
    return address.version == 4 or address in _GLOBAL_IPV6


def may_reach(address: Address, *, by_name: bool) -> bool:
    """Tell whether a download may connect: public, or of this machine or organisation where allowed ``by_name``."""
    return is_public(address) or (by_name and any(_plain(address) in net for net in _ORGANISATION))


def _plain(address: Address) -> Address:
    embedded = any(address in net for net in _EMBEDDED_IPV4)
    return IPv4Address(int(address) & 0xFFFFFFFF) if embedded else address


class CheckedNetwork(httpcore.NetworkBackend):
    """Opens the connections to one URL for ``httpcore``: to addresses it may reach, and with a deadline.

    An origin that ``allow`` names may also have an address of this machine or organisation.
    """

    def __init__(
        self, url: SplitResult, allow: Collection[str], deadline: float, resolve: Resolve = socket.getaddrinfo
    ) -> None:
        self._url = url
        self._by_name = _is_allowed(url, allow)
        self._deadline = deadline
        self._resolve = resolve

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **options: Any
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers.

        Raises:
            Refused: one of the addresses may not be reached.
        """
        failure: Exception = httpcore.ConnectError("the name has no address")
        for address in self._addresses(host, port):
            wait_s = _wait_s(timeout, self._deadline)
            try:
                stream = httpcore.SyncBackend().connect_tcp(address, port, wait_s, *args, **options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _PacedStream(stream, self._deadline)
        raise failure

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = [str(place[0]) for *_, place in self._resolve(host, port, type=socket.SOCK_STREAM)]
        except UnicodeError as error:  # a label that is empty or longer than 63 characters
            raise Refused(f"the URL {printable(self._url)} has a host that cannot be one; correct it.") from error
        except OSError as error:
            raise httpcore.ConnectError(error) from error
        for address in found:
            if not may_reach(ip_address(address), by_name=self._by_name):
                raise Refused(
                    f"{shown(host)} has the address {shown(address)}, which is not on the public internet; "
                    f"if it is yours, set {_ALLOWING}={shown(origin(self._url))}."
                )
        return found


class _PacedStream(httpcore.NetworkStream):
    """A connection on which a peer that sends a byte now and then still meets the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline
        self.close = stream.close  # type: ignore[method-assign]
        self.get_extra_info = stream.get_extra_info  # type: ignore[method-assign]

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _wait_s(timeout, self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _wait_s(timeout, self._deadline))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, _wait_s(timeout, self._deadline))
        return _PacedStream(secured, self._deadline)


def _wait_s(timeout: float | None, deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise httpcore.ReadTimeout("the time for the whole download is over")
    return left_s if timeout is None else min(timeout, left_s)
