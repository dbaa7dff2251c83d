"""One GET request over ``httpcore``: redirects checked like the first URL, credentials kept to its origin.

``httpcore`` is the layer under ``httpx`` that does HTTP and TLS and nothing else. A client above it would read proxies,
``.netrc`` and cookies, and write whole URLs, with the secrets in their queries, to the log. At level DEBUG ``httpcore``
itself logs the headers of responses; a redirect to a signed URL is one of them.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, quote, urljoin

import httpcore

from smalti.contracts.violation import shown
from smalti.datasets.fetch.connection import CheckedNetwork, checked_url, printable, same_origin
from smalti.errors import Refused

_MOST_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_HEADER = re.compile(r"[A-Za-z0-9_-]+:[!-~]([ -~]*[!-~])?")
_STRONG_ETAG = re.compile(r'"[!#-~]*"')
_SURELY_SETTLED_S = 60
_DEFAULTS = {"Accept": "*/*", "User-Agent": "smalti"}
_FIXED = {"Accept-Encoding": "identity", "Connection": "close"}
_OWN = {*_FIXED, "Host", "Range", "If-Range"}


class Faltered(Exception):
    """A try that failed in a way that may pass; the message is the first half of a sentence."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


class Answer:
    """The head of a response, and its body as it comes.

    Attributes:
        headers: by their names in lower case.
        nbytes: of the body, None where that is not said.
        is_chunked: the body says where it ends.
    """

    def __init__(self, response: httpcore.Response) -> None:
        self.status = response.status
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        self.is_chunked = "transfer-encoding" in self.headers  # then a Content-Length does not count
        declared = None if self.is_chunked else self.headers.get("content-length")
        self.nbytes = None if declared is None else int(declared)
        self.body: Iterator[bytes] = response.iter_stream()

    def validator(self) -> str | None:
        """Return what names this version of the bytes for certain: a strong ETag, or a date well in the past.

        Source: RFC 9110, sections 8.8 and 13.1.5.
        """
        etag = self.headers.get("etag", "")
        if _STRONG_ETAG.fullmatch(etag):
            return etag
        modified, date = self.headers.get("last-modified", ""), self.headers.get("date", "")
        try:
            settled_s = (parsedate_to_datetime(date) - parsedate_to_datetime(modified)).total_seconds()
        except (TypeError, ValueError):  # not dates
            return None
        return modified if settled_s >= _SURELY_SETTLED_S and modified.isprintable() else None


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a caller with their names in one spelling.

    Raises:
        Refused: one is empty, not printable ASCII or for the download to set; no value is shown.
    """
    for name, value in headers.items():
        if not _HEADER.fullmatch(f"{name}:{value}"):
            raise Refused(f"the header {shown(name)} is empty or holds what no header may; give printable ASCII.")
        if name.title() in _OWN:
            raise Refused(f"a download sets the header {name} itself; leave it out.")
    return {name.title(): value for name, value in headers.items()}


@contextmanager
def answer(
    source: SplitResult,
    headers: Mapping[str, str],
    wish: Mapping[str, str],
    allow: Collection[str],
    idle_s: float,
    deadline: float,
) -> Iterator[Answer]:
    """Ask for ``source`` and give the first answer that is no redirect; its body is read inside the block.

    ``headers`` go to the origin of ``source`` and to none after a redirect to another, ``wish`` to every server. No
    silence may be longer than ``idle_s``, and all must be over by ``deadline`` of ``time.monotonic``.

    Raises:
        Faltered: the network or the server failed, also while the body is read.
        Refused: an address, a certificate or a redirect is not acceptable.
    """
    waits = dict.fromkeys(("connect", "read", "write", "pool"), idle_s)
    at = source
    for _ in range(_MOST_REDIRECTS + 1):
        host, path = at.hostname or "", f"{at.path or '/'}{'?' if at.query else ''}{at.query}"
        url = httpcore.URL(scheme=at.scheme, host=host, port=at.port, target=path)
        sent = {**_DEFAULTS, **headers, **_FIXED, "Host": at.netloc, **wish}
        tls = ssl.create_default_context() if at.scheme == "https" else None
        with (
            _network_errors(host, deadline),
            httpcore.ConnectionPool(tls, network_backend=CheckedNetwork(at, allow, deadline)) as pool,
            pool.stream("GET", url, headers=list(sent.items()), extensions={"timeout": waits}) as response,
        ):
            answered = Answer(response)
            location = answered.headers.get("location")
            if answered.status not in _REDIRECTS or location is None:
                yield answered
                return
        onward = _redirected(source, at, location, allow)
        headers = headers if same_origin(at, onward) else {}
        at = onward
    raise Refused(f"{printable(source)} redirects more than {_MOST_REDIRECTS} times; correct the address.")


def _redirected(source: SplitResult, at: SplitResult, location: str, allow: Collection[str]) -> SplitResult:
    plain = quote(location, safe=":/?#[]@!$&'()*+,;=%~", encoding="latin-1")  # many servers forget to
    try:
        onward = checked_url(urljoin(at.geturl(), plain), allow)
    except ValueError as error:  # Refused is one, and so is what urljoin raises about a malformed host
        reason = error if isinstance(error, Refused) else "its host is malformed."
        raise Refused(f"{printable(source)} redirects to where no download may go: {reason}") from error
    if onward.scheme not in (at.scheme, "https"):
        what = "a file of this machine" if onward.scheme == "file" else "plain http"
        raise Refused(f"{printable(source)} redirects to {what}; correct the address.")
    return onward


@contextmanager
def _network_errors(host: str, deadline: float) -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        over = time.monotonic() >= deadline
        raise Faltered("took longer than the whole download may" if over else "was silent for too long") from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        cause = error.args[0] if error.args else None  # __cause__ is taken off on the way
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise Refused(
                f"the certificate of {shown(host)} is not accepted ({cause.verify_message}); "
                "mend it, or name your certificate authority in SSL_CERT_FILE."
            ) from error
        raise Faltered(
            f"could not be read ({shown(getattr(cause, 'strerror', None) or type(error).__name__)})"
        ) from error
