"""A file from a URL, fetched safely: only from where it may come, only as much as may come, whole or not at all."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urljoin

from smalti.contracts.violation import shown
from smalti.datasets.fetch.connection import Patience, checked_url, connect, printable
from smalti.datasets.fetch.partial import Partial, partial
from smalti.errors import NotFound, Refused, SmaltiError, Unavailable
from smalti.formats.regular_file import open_regular, sha256_of
from smalti.store.commit import machine_errors

OnBytes = Callable[[int, int | None], None]

_MOST_NBYTES = 16 << 30
_PATIENCE = Patience()
_MOST_REDIRECTS = 5
_LONGEST_PAUSE_S = 60.0
_CHUNK_NBYTES = 1 << 18
_REDIRECTS = {301, 302, 303, 307, 308}
_PASSING = {408, 425, 429}  # and all of 5xx
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_STRONG_ETAG = re.compile(r'"[!#-~]*"')
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_SURELY_SETTLED_S = 60
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", "User-Agent": "smalti"}


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that was downloaded.

    Attributes:
        path: where it lies.
        sha256: of its bytes, 64 hexadecimal digits; record it to pin the next download.
        nbytes: its size.
        url: as it was asked for, before redirects.
    """

    path: Path
    sha256: str
    nbytes: int
    url: str


class _Faltered(Exception):
    """A try that failed in a way that may pass; the message is the first half of a sentence."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    most_nbytes: int = _MOST_NBYTES,
    allow: Collection[str] = (),
    progress: OnBytes | None = None,
    patience: Patience = _PATIENCE,
) -> Downloaded:
    """Fetch ``url`` into the file ``target``, which appears whole or not at all and is never replaced.

    Bytes gather in ``<target>.part``. Whatever interrupts, the next call goes on from there, if the server says that
    it still has the same version (If-Range), else from the beginning. Proxies are not used.

    Args:
        url: ``https`` or ``file``; without user name and password.
        target: the file to be; its folder exists.
        sha256: what it must be, 64 hexadecimal digits; None takes what comes and returns its digest.
        most_nbytes: the largest size accepted, counted while reading.
        allow: origins trusted by name, such as ``http://127.0.0.1:8000``: plain http, addresses of this organisation.
        progress: called with the bytes so far and those in all, None while that is not known.
        patience: how long to wait and how often to try.

    Raises:
        Refused: the URL, its address, a redirect, the size, the digest or what lies at ``target`` is not acceptable.
        NotFound: the server, or this machine for ``file``, has no such file.
        Unavailable: it could not be had now; what came is kept.
    """
    source = checked_url(url, allow)
    pinned = _pinned(sha256)
    with machine_errors(f"downloading {shown(target.name)}"):
        if pinned and target.exists():
            return _present(target, pinned, url)
        with partial(target) as part:
            resumed = part.nbytes > 0
            work = _Download(url, source, part, most_nbytes, allow, progress, patience, whole=pinned is not None)
            work.run()
            if resumed and pinned and part.sha256() != pinned:  # the bytes of the earlier call may be what is wrong
                part.cut(0)
                work.run()
            digest = part.sha256()
            if pinned and digest != pinned:
                part.cut(0)
                raise Refused(
                    f"{printable(source)} has the SHA-256 {digest}, wanted {pinned}; "
                    "find out which of them is right, nothing was kept."
                )
            part.become(digest)
            return Downloaded(target, digest, part.nbytes, url)


def _pinned(sha256: str | None) -> str | None:
    match = _SHA256.fullmatch(sha256.lower()) if sha256 is not None else None
    if sha256 is not None and match is None:
        raise Refused(f"{shown(sha256)} is not a SHA-256; give its 64 hexadecimal digits.")
    return match.group(1) if match else None


def _present(target: Path, pinned: str, url: str) -> Downloaded:
    found = sha256_of(target)
    if found != pinned:
        raise Refused(f"{shown(target.name)} is there already with the SHA-256 {found}, wanted {pinned}; move it away.")
    return Downloaded(target, found, target.stat().st_size, url)


@dataclass(frozen=True, slots=True)
class _Download:
    url: str
    source: SplitResult
    part: Partial
    most_nbytes: int
    allow: Collection[str]
    progress: OnBytes | None
    patience: Patience
    whole: bool  # a cut body would be noticed by its digest

    def run(self) -> None:
        if self.source.scheme == "file":
            self._copy()
        else:
            self._fetch()

    def _copy(self) -> None:
        with open_regular(Path(unquote(self.source.path))) as file:
            self.part.begin(self.url, None)
            while piece := file.read(_CHUNK_NBYTES):
                self._take(piece, None)

    def _fetch(self) -> None:
        deadline = time.monotonic() + self.patience.total_s
        furthest, failures = self.part.nbytes, 0
        while True:
            try:
                return self._attempt(deadline)
            except _Faltered as fault:
                failures = 1 if self.part.nbytes > furthest else failures + 1
                furthest = max(furthest, self.part.nbytes)
                pause_s = min(max(fault.pause_s, self.patience.backoff_s * 2 ** (failures - 1)), _LONGEST_PAUSE_S)
                if failures >= self.patience.attempts or time.monotonic() + pause_s >= deadline:
                    kept = f"{self.part.nbytes} bytes are kept" if self.part.nbytes else "nothing was kept"
                    raise Unavailable(f"{printable(self.source)} {fault}; {kept}, try again later.") from fault
            time.sleep(pause_s)

    def _attempt(self, deadline: float) -> None:
        """Ask once, for what is missing or for all of it, and take what comes.

        The last byte that is there is asked for again: a part that is complete has no range to ask for.
        """
        validator = self.part.validator(self.url)
        offset = self.part.nbytes - 1 if validator else 0
        wish = {"Range": f"bytes={offset}-", "If-Range": validator} if validator else {}
        with self._answered(wish, deadline) as response:
            if response.status == 206 and validator:
                of_nbytes: int | None = self._go_on(response, offset, validator)
            else:
                self._require_success(response)
                self.part.begin(self.url, _validator(response.headers))
                of_nbytes = response.length
                if of_nbytes is None and not response.chunked and not self.whole:
                    raise Refused(
                        f"{printable(self.source)} comes without its length, so that a cut could not be told from "
                        "its end; give its SHA-256."
                    )
            self._receive(response, of_nbytes, deadline)

    def _go_on(self, response: http.client.HTTPResponse, offset: int, validator: str) -> int:
        """Return the size of the whole, if the answer goes on exactly where the part ends."""
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        first, last, of_nbytes = map(int, match.groups()) if match else (-1, -1, 0)
        fits = first == offset <= last < of_nbytes and response.length in (None, last + 1 - first)
        if not fits or _validator(response.headers) not in (None, validator):
            raise self._other_part()
        self.part.cut(offset)
        return of_nbytes

    def _other_part(self) -> _Faltered:
        self.part.cut(0)
        return _Faltered("answered with another part than it was asked for")

    def _require_success(self, response: http.client.HTTPResponse) -> None:
        status, where = response.status, printable(self.source)
        if status == 200:
            return
        if status in (206, 416):  # an answer to what was not asked, or nothing left of what was
            raise self._other_part()
        if status in _PASSING or status >= 500:
            pause = response.headers.get("Retry-After", "")
            raise _Faltered(f"answered {status}", float(pause) if re.fullmatch(r"\d{1,9}", pause) else 0.0)
        if status in (404, 410):
            raise NotFound(f"there is no {where} (status {status}); correct the address.")
        raise Refused(f"{where} was not given (status {status}); see there whether it needs a login or a licence.")

    def _receive(self, response: http.client.HTTPResponse, of_nbytes: int | None, deadline: float) -> None:
        end = None if response.length is None else self.part.nbytes + response.length
        self._require_size(max(end or 0, of_nbytes or 0))
        while end is None or self.part.nbytes < end:
            with _network_errors(deadline):
                piece = response.read1(min(_CHUNK_NBYTES, end - self.part.nbytes) if end else _CHUNK_NBYTES)
            if not piece:
                break
            self._take(piece, of_nbytes)
        wanted = max(end or 0, of_nbytes or 0)
        if self.part.nbytes < wanted:
            raise _Faltered(f"ended after {self.part.nbytes} of {wanted} bytes")
        if of_nbytes is not None and self.part.nbytes > of_nbytes:
            raise self._other_part()

    def _take(self, piece: bytes, of_nbytes: int | None) -> None:
        self._require_size(self.part.nbytes + len(piece))
        self.part.append(piece)
        if self.progress:
            self.progress(self.part.nbytes, of_nbytes)

    def _require_size(self, nbytes: int) -> None:
        if nbytes > self.most_nbytes:
            self.part.cut(0)
            raise Refused(
                f"{printable(self.source)} has {nbytes} bytes or more, wanted at most {self.most_nbytes}; "
                "raise the limit if that is right."
            )

    @contextmanager
    def _answered(self, wish: dict[str, str], deadline: float) -> Iterator[http.client.HTTPResponse]:
        """Ask, follow redirects, each judged like the first address, and give the answer that is none."""
        source = self.source
        for _ in range(_MOST_REDIRECTS + 1):
            with _network_errors(deadline):
                connection = connect(source, self.allow, self.patience.idle_s, deadline)
            try:
                with _network_errors(deadline):
                    path = f"{source.path or '/'}{'?' if source.query else ''}{source.query}"
                    connection.request("GET", path, headers={"Host": source.netloc, **_HEADERS, **wish})
                    response = connection.getresponse()
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or location is None:
                    yield response
                    return
                source = self._redirected(source, location)
            finally:
                connection.close()
        raise Refused(f"{printable(self.source)} redirects more than {_MOST_REDIRECTS} times; correct the address.")

    def _redirected(self, source: SplitResult, location: str) -> SplitResult:
        plain = quote(location, safe=":/?#[]@!$&'()*+,;=%~", encoding="latin-1")  # many servers forget to
        try:
            target = checked_url(urljoin(source.geturl(), plain), self.allow)
        except Refused as error:
            raise Refused(f"{printable(self.source)} redirects to where no download may go: {error}") from error
        if target.scheme == "file":
            raise Refused(f"{printable(self.source)} redirects to a file of this machine; correct the address.")
        return target


@contextmanager
def _network_errors(deadline: float) -> Iterator[None]:
    """Turn what the network and a broken server can do into a try that faltered."""
    try:
        yield
    except SmaltiError:
        raise
    except TimeoutError as error:
        over = time.monotonic() >= deadline
        raise _Faltered("took longer than the whole download may" if over else "was silent for too long") from error
    except http.client.IncompleteRead as error:
        raise _Faltered("ended in the middle") from error
    except (http.client.HTTPException, OSError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise _Faltered(f"could not be read ({shown(reason)})") from error


def _validator(headers: Message) -> str | None:
    """Return what names this version of the bytes for certain: a strong ETag, or a date that lies back long enough.

    Source: RFC 9110, sections 8.8 and 13.1.5.
    """
    etag = headers.get("ETag", "")
    if _STRONG_ETAG.fullmatch(etag):
        return str(etag)
    modified, date = headers.get("Last-Modified", ""), headers.get("Date", "")
    try:
        settled_s = (parsedate_to_datetime(date) - parsedate_to_datetime(modified)).total_seconds()
    except (TypeError, ValueError):  # not dates
        return None
    return str(modified) if settled_s >= _SURELY_SETTLED_S and modified.isprintable() else None
