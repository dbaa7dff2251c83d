"""Which URLs and addresses a download may reach, and a connection to the very address that was judged.

A name is resolved once, all of its addresses are judged, and the socket goes to one of those: a name server that
answers differently the second time is never asked a second time.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

from smalti.contracts.violation import shown
from smalti.errors import Refused

Address = IPv4Address | IPv6Address
Resolve = Callable[..., list[tuple[Any, ...]]]

_PORTS = {"https": 443, "http": 80}
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")  # RFC 3986
_UP_TO_AT = re.compile(r".*@")  # a password with a slash in it ends up in the path

# https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry, with multicast
_NOT_PUBLIC = tuple(
    ip_network(net)
    for net in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
_GLOBAL_IPV6 = ip_network("2000::/3")  # everything else in IPv6 is local, multicast, embedded or unassigned
_EMBEDDED_IPV4 = (ip_network("::ffff:0:0/96"), ip_network("64:ff9b::/96"))  # mapped, and translated by NAT64
_OF_AN_ORGANISATION = tuple(
    ip_network(net) for net in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a download waits, and how often it tries.

    Attributes:
        idle_s: the longest silence, in seconds, while connecting or between two pieces.
        total_s: the longest time, in seconds, from the first try to the last byte.
        attempts: tries in a row that bring nothing new.
        backoff_s: pause after the first failed try, in seconds; each further one is twice as long, up to a minute.
    """

    idle_s: float = 30.0
    total_s: float = 12 * 3600.0
    attempts: int = 5
    backoff_s: float = 1.0


def checked_url(text: str, allow: Collection[str] = ()) -> SplitResult:
    """Return the parts of a URL that may be fetched: ``https``, ``file``, or an origin that is allowed by name.

    Args:
        text: the URL.
        allow: origins such as ``http://127.0.0.1`` or ``https://data.beamline:8443``; without a port, every port.

    Raises:
        Refused: another scheme, no host, a user name or password in it, or characters that no URL has.
    """
    url = _split(text)
    if url.username is not None or url.password is not None:
        raise Refused(f"the URL {printable(url)} holds a user name or password; take it out, it would be kept.")
    if url.scheme == "file":
        if url.netloc not in ("", "localhost") or not url.path.startswith("/"):
            raise Refused(f"the URL {printable(url)} names a file of another machine; write file:///path/of/the/file.")
        return url
    if not url.hostname:
        raise Refused(f"the URL {printable(url)} has no host; write https://host/path.")
    if url.scheme != "https" and not (url.scheme == "http" and _names(url) & set(allow)):
        raise Refused(
            f"the URL {printable(url)} is neither https nor file; give one of those, or allow "
            f"{shown(_origin(url))} by name if you trust the way to it."
        )
    return url


def _split(text: str) -> SplitResult:
    """Split a URL; what cannot be split is not shown either, because a password could be anywhere in it."""
    if not _URL.fullmatch(text):
        raise Refused("the URL is empty or holds characters that no URL has; percent-encode them.")
    try:
        url = urlsplit(text)
        _ = url.port  # judged only when asked for
    except ValueError as error:
        raise Refused("the URL has a malformed host or port; write https://host/path.") from error
    return url


def printable(url: SplitResult) -> str:
    """Return a URL as it may be printed: without user, password and query, where secrets are.

    >>> printable(urlsplit("https://me:secret@example.org/a.npz?token=1"))
    'https://example.org/a.npz'
    """
    return shown(_origin(url) + _UP_TO_AT.sub("/***@", url.path))


def _origin(url: SplitResult) -> str:
    host = url.hostname or ""
    port = "" if url.port is None else f":{url.port}"
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def _names(url: SplitResult) -> set[str]:
    """Return what an ``allow`` may hold to mean this URL: its origin, with or without the port."""
    bare = _origin(url._replace(netloc=url.netloc.removesuffix(f":{url.port}")))
    return {_origin(url), bare, f"{bare}:{url.port or _PORTS[url.scheme]}"}


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the public internet, whatever way it is written in IPv6.

    >>> is_public(ip_address("8.8.8.8")), is_public(ip_address("::ffff:169.254.169.254"))
    (True, False)
    """
    address = _plain(address)
    if any(address in net for net in _NOT_PUBLIC):
        return False
    return address.version == 4 or address in _GLOBAL_IPV6


def may_reach(address: Address, *, by_name: bool) -> bool:
    """Tell whether a download may connect: public, or of this machine or organisation where allowed ``by_name``."""
    return is_public(address) or (by_name and any(_plain(address) in net for net in _OF_AN_ORGANISATION))


def _plain(address: Address) -> Address:
    embedded = any(address in net for net in _EMBEDDED_IPV4)
    return IPv4Address(int(address) & 0xFFFFFFFF) if embedded else address


def connect(
    url: SplitResult,
    allow: Collection[str],
    idle_s: float,
    deadline: float,
    resolve: Resolve = socket.getaddrinfo,
) -> http.client.HTTPConnection:
    """Return a connection to the host of a checked URL, every wait on it limited; TLS is always verified.

    Args:
        url: from :func:`checked_url`.
        allow: as there; such a host may also have an address of this machine or organisation.
        idle_s: the longest wait, in seconds.
        deadline: when all of it must be over, by ``time.monotonic``.
        resolve: as ``socket.getaddrinfo``.

    Raises:
        Refused: an address of the host is not public, or its certificate is not accepted.
        OSError: it cannot be reached.
    """
    host, port = cast(str, url.hostname), url.port or _PORTS[url.scheme]
    found = _resolved(url, host, port, resolve)
    for *_, place in found:
        if not may_reach(ip_address(place[0]), by_name=bool(_names(url) & set(allow))):
            raise Refused(
                f"{shown(host)} has the address {shown(place[0])}, which is not on the public internet; "
                f"allow {shown(_origin(url))} by name if it is yours."
            )
    paced = _PacedSocket(_first_to_answer(found, idle_s, deadline), idle_s, deadline)
    if url.scheme == "https":
        paced.secure(host)
    connection = http.client.HTTPConnection(host, port)
    connection.auto_open = 0  # it would resolve the name again
    connection.sock = cast(socket.socket, paced)
    return connection


def _resolved(url: SplitResult, host: str, port: int, resolve: Resolve) -> list[tuple[Any, ...]]:
    try:
        return resolve(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is empty or longer than 63 characters
        raise Refused(f"the URL {printable(url)} has a host that cannot be one; correct it.") from error


def _first_to_answer(found: list[tuple[Any, ...]], idle_s: float, deadline: float) -> socket.socket:
    failure = OSError("the name has no address")
    for family, kind, protocol, _, place in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_wait_s(idle_s, deadline))
            sock.connect(place)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _wait_s(idle_s: float, deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the time for the whole download is over")
    return min(idle_s, left_s)


class _PacedSocket:
    """What ``http.client`` needs of a socket; a peer that sends a byte now and then still meets the deadline."""

    def __init__(self, sock: socket.socket, idle_s: float, deadline: float) -> None:
        self._sock = sock
        self._idle_s = idle_s
        self._deadline = deadline

    def hurry(self) -> None:
        self._sock.settimeout(_wait_s(self._idle_s, self._deadline))

    def secure(self, host: str) -> None:
        try:
            self.hurry()
            self._sock = ssl.create_default_context().wrap_socket(self._sock, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            self._sock.close()
            raise Refused(
                f"the certificate of {shown(host)} is not accepted ({error.verify_message}); "
                "mend it, or name your certificate authority in SSL_CERT_FILE."
            ) from error
        except BaseException:
            self._sock.close()
            raise

    def sendall(self, data: bytes) -> None:
        self.hurry()
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_PacedReader(self, self._sock.makefile("rb", buffering=0)))

    def close(self) -> None:
        self._sock.close()


class _PacedReader(io.RawIOBase):
    def __init__(self, paced: _PacedSocket, raw: socket.SocketIO) -> None:
        self._paced = paced
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._paced.hurry()
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
