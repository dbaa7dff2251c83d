"""Which URLs and addresses may be reached, and that the address judged is the one connected to."""

from __future__ import annotations

import socket
import threading
import time
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.datasets.fetch.connection import CheckedNetwork, checked_url, is_public, may_reach, printable, same_origin
from smalti.errors import Refused

V4 = st.ip_addresses(v=4)
V6 = st.ip_addresses(v=6)


@given(V4 | V6)
def test_what_python_calls_private_or_special_is_never_public(address: IPv4Address | IPv6Address) -> None:
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or not address.is_global
    )
    embedded = isinstance(address, IPv6Address) and (
        address.ipv4_mapped is not None or int(address) >> 32 == 0x64FF9B << 64
    )
    assert not (special and not embedded and is_public(address))


@given(V4)
def test_an_address_is_judged_alike_however_ipv6_embeds_it(address: IPv4Address) -> None:
    for prefix in ("::ffff:", "64:ff9b::"):
        assert is_public(ip_address(f"{prefix}{address}")) == is_public(address)


@given(V4)
def test_tunnels_to_an_ipv4_address_are_never_public(address: IPv4Address) -> None:
    assert not is_public(IPv6Address((0x2002 << 112) | (int(address) << 80)))
    assert not is_public(IPv6Address((0x20010000 << 96) | (int(address) ^ 0xFFFFFFFF)))
    assert not is_public(IPv6Address(int(address)))


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.31.255.255", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "192.0.0.8", "::", "::1", "fe80::1", "fec0::1", "fc00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1", "2001::1", "2001:db8::1"),
        *("fd00:ec2::254", "5f00::1"),
    ],
)
def test_no_address_inside_is_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "172.32.0.1", "192.88.98.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0"])
def test_not_even_a_name_opens_link_local_multicast_or_unspecified_addresses(address: str) -> None:
    assert not may_reach(ip_address(address), by_name=True)


def test_a_name_opens_the_addresses_of_an_organisation() -> None:
    for text in ("127.0.0.1", "10.0.0.1", "::1", "fd00::1", "::ffff:192.168.1.1"):
        assert may_reach(ip_address(text), by_name=True)
        assert not may_reach(ip_address(text), by_name=False)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.org/a", "neither https nor file"),
        ("ftp://example.org/a", "neither https nor file"),
        ("gopher://example.org/a", "neither https nor file"),
        ("HTTP://example.org/a", "neither https nor file"),
        ("https:///a", "no host"),
        ("a.npz", "no host"),
        ("https://me:hunter2@example.org/a", "user name or password"),
        ("https://@example.org/a", "user name or password"),
        ("file://me:hunter2@localhost/a", "user name or password"),
        ("https://example.org\\@evil.org/", "no URL has"),
        ("https://example.org/a b", "no URL has"),
        ("https://example.org/\r\nX: y", "no URL has"),
        ("https://exämple.org/a", "no URL has"),
        ("", "no URL has"),
        ("https://example.org:hunter2/a", "malformed"),
        ("https://[::1/a", "malformed"),
        ("file://elsewhere/a", "another machine"),
        ("file:a", "another machine"),
    ],
)
def test_a_url_that_may_not_be_fetched_is_refused_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as caught:
        checked_url(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("allow", "accepted"),
    [
        (["http://data.lab"], True),
        (["http://data.lab:80"], True),
        (["https://data.lab"], False),
        (["http://data.lab:8080"], False),
        (["http://other.lab"], False),
        (["data.lab"], False),
        (["http"], False),
    ],
)
def test_http_is_for_origins_that_are_allowed_by_name(allow: list[str], accepted: bool) -> None:
    if accepted:
        assert checked_url("http://Data.Lab/a.npz", allow).hostname == "data.lab"
    else:
        with pytest.raises(Refused, match=r"set SMALTI_ALLOWED_ORIGINS=http://data\.lab"):
            checked_url("http://data.lab/a.npz", allow)


@pytest.mark.parametrize("allowed", ["http://[::1]", "http://[::1]:8000"])
def test_an_address_in_ipv6_is_allowed_with_its_brackets(allowed: str) -> None:
    assert checked_url("http://[::1]:8000/a", [allowed]).hostname == "::1"
    with pytest.raises(Refused, match=r"set SMALTI_ALLOWED_ORIGINS=http://\[::1\]:8001"):
        checked_url("http://[::1]:8001/a", ["http://[::1]:8000"])


def test_what_is_printed_of_a_url_holds_no_query_and_nothing_before_an_at() -> None:
    url = checked_url("https://example.org/me:hunter2@x/a.npz?token=hunter2#hunter2")
    assert printable(url) == "https://example.org/***@x/a.npz"


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=20), st.booleans())
def test_a_password_is_never_printed_whatever_is_in_it(password: str, plain: bool) -> None:
    text = f"{'http' if plain else 'https'}://me:{password}@example.org/a"
    try:
        said = printable(checked_url(text))
    except Refused as error:
        said = str(error)
    assert password not in said


def answer_nothing(server: socket.socket) -> bytes:
    """Take what one client says, and hang up."""
    accepted, _ = server.accept()
    with accepted:
        return accepted.recv(1000)


class Resolver:
    """A name server that answers in turn, and remembers how often it was asked."""

    def __init__(self, *answers: list[tuple[str, int]]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", place) for place in answer]


@pytest.mark.parametrize("answer", [[("8.8.8.8", 443), ("192.168.0.9", 443)], [("192.168.0.9", 443)]])
def test_one_private_address_refuses_the_host_before_anything_is_connected_to(answer: list[tuple[str, int]]) -> None:
    network = CheckedNetwork(checked_url("https://example.org/"), [], time.monotonic() + 1, Resolver(answer))
    with pytest.raises(Refused, match=r"192\.168\.0\.9, which is not on the public internet"):
        network.connect_tcp("example.org", 443)


def test_a_name_that_nobody_knows_is_told_as_the_system_tells_it() -> None:
    def resolve(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    network = CheckedNetwork(checked_url("https://example.org/"), [], time.monotonic() + 1, resolve)
    with pytest.raises(httpcore.ConnectError) as caught:
        network.connect_tcp("example.org", 443)
    assert caught.value.args[0].strerror == "Name or service not known"


def test_a_name_is_asked_for_once_and_a_checked_address_is_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = server.getsockname()
        rebinding = Resolver([("127.0.0.1", here[1])], [("169.254.169.254", 80)])
        url = f"http://rebinding.test:{here[1]}"
        network = CheckedNetwork(checked_url(url, [url]), [url], time.monotonic() + 5, rebinding)
        asked: list[bytes] = []
        thread = threading.Thread(target=lambda: asked.append(answer_nothing(server)))
        thread.start()
        with httpcore.ConnectionPool(network_backend=network) as pool, pytest.raises(httpcore.RemoteProtocolError):
            pool.request("GET", url)
        thread.join()
        assert asked.pop().startswith(b"GET / HTTP/1.1\r\nHost: rebinding.test")
        assert rebinding.asked == 1


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("https://data.org/b?c=d", True),
        ("https://DATA.org:443/", True),
        ("https://data.org:444/a", False),
        ("http://data.org/a", False),
        ("https://cdn.data.org/a", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(other: str, same: bool) -> None:
    assert same_origin(urlsplit("https://data.org/a"), urlsplit(other)) is same
