"""A file from a URL, fetched safely: only from where it may come, only as much as may come, whole or not at all."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import SplitResult, unquote

import httpcore

from smalti.contracts.violation import shown
from smalti.datasets.fetch.connection import checked_url, printable
from smalti.datasets.fetch.partial import Partial, partial
from smalti.datasets.fetch.request import Answer, Faltered, answer, checked_headers
from smalti.errors import NotFound, Refused, Unavailable
from smalti.formats.regular_file import open_regular, sha256_of
from smalti.store.commit import machine_errors

_LONGEST_PAUSE_S = 60.0
_CHUNK_NBYTES = 1 << 18
_PASSING = {408, 425, 429}  # and all of 5xx
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a download waits, and how often it tries.

    Attributes:
        idle_s: the longest silence, in seconds, while connecting or between two pieces; the system's name lookup
            has a limit of its own.
        total_s: the longest time, in seconds, from the first try to the last byte.
        attempts: tries in a row that bring nothing new.
        backoff_s: pause after the first failed try, in seconds; each further one is twice as long, up to a minute.
    """

    idle_s: float = 30.0
    total_s: float = 12 * 3600.0
    attempts: int = 5
    backoff_s: float = 1.0

    def pause_s(self, failures: int, asked_s: float = 0.0) -> float:
        """Return how long to wait after so many failures, where the server asked for ``asked_s``; a minute at most.

        >>> [Patience().pause_s(failures) for failures in (1, 2, 3, 9)]
        [1.0, 2.0, 4.0, 60.0]
        """
        return min(max(asked_s, self.backoff_s * 2.0 ** min(failures - 1, 30)), _LONGEST_PAUSE_S)


class NotGiven(Refused):
    """The server does not give the file; ``status`` is the HTTP status it answered."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class OtherContent(Refused):
    """The file has other content than was wanted; ``sha256`` is that of what came."""

    def __init__(self, message: str, sha256: str) -> None:
        super().__init__(message)
        self.sha256 = sha256


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


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
    most_nbytes: int = 16 << 30,
    allow: Collection[str] = (),
    progress: Callable[[int, int | None], None] | None = None,
    patience: Patience = Patience(),
) -> Downloaded:
    """Fetch ``url`` into the file ``target``, which appears whole or not at all and is never replaced.

    Bytes gather in ``<target>.part``. Whatever interrupts, the next call goes on from there, if the server says that
    it still has the same version (If-Range), else from the beginning. That a power cut spoiled bytes of an earlier call
    is noticed only by ``sha256``.

    Proxies, ``.netrc`` and cookies are not used, whatever the environment says: a proxy resolves names itself, so that
    no address could be checked.

    Args:
        url: ``https`` or ``file``; without user name and password.
        target: the file to be; its folder exists.
        sha256: what it must be, 64 hexadecimal digits; None takes what comes and returns its digest.
        headers: such as ``Authorization``; sent to the origin of ``url`` and to no other that it redirects to.
        most_nbytes: the largest size accepted, counted while reading.
        allow: origins trusted by name, such as ``http://127.0.0.1:8000``: plain http, addresses of this organisation.
        progress: called with the bytes so far and those in all, None while that is not known.
        patience: how long to wait and how often to try.

    Raises:
        Refused: the URL, its address, a redirect, the size, the digest (``OtherContent``) or what lies at ``target`` is
            not acceptable, or the server does not give it (``NotGiven``).
        NotFound: the server, or this machine for ``file``, has no such file.
        Unavailable: it could not be had now; what came is kept.
    """
    source = checked_url(url, allow)
    pinned = checked_sha256(sha256)
    headers = checked_headers(headers)
    with machine_errors(f"downloading {shown(target.name)}"):
        if pinned and target.exists():
            return _present(target, pinned, url)
        with partial(target) as part:
            resumed = part.nbytes > 0
            work = _Download(url, source, part, headers, most_nbytes, allow, progress, patience, pinned is not None)
            work.run()
            digest = part.sha256()
            if resumed and pinned and digest != pinned:  # the bytes of the earlier call may be what is wrong
                part.cut(0)
                work.run()
                digest = part.sha256()
            if pinned and digest != pinned:
                part.cut(0)
                raise OtherContent(
                    f"{printable(source)} has the SHA-256 {digest}, wanted {pinned}; "
                    "find out which of them is right, nothing was kept.",
                    digest,
                )
            part.become(digest)
            return Downloaded(target, digest, part.nbytes, url)


def checked_sha256(sha256: str | None) -> str | None:
    """Return a SHA-256 as 64 lower-case hexadecimal digits; None stays None.

    Raises:
        Refused: it is none.
    """
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
    headers: Mapping[str, str]
    most_nbytes: int
    allow: Collection[str]
    progress: Callable[[int, int | None], None] | None
    patience: Patience
    is_pinned: bool  # a cut or encoded body would be noticed by its digest

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
            except Faltered as fault:
                failures = 1 if self.part.nbytes > furthest else failures + 1
                furthest = max(furthest, self.part.nbytes)
                pause_s = self.patience.pause_s(failures, fault.pause_s)
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
        with answer(self.source, self.headers, wish, self.allow, self.patience.idle_s, deadline) as answered:
            goes_on = answered.status == 206 and validator
            self._receive(answered, self._go_on(answered, offset, validator) if goes_on else self._begin(answered))

    def _go_on(self, answered: Answer, offset: int, validator: str | None) -> int:
        """Return the size of the whole, if the answer goes on exactly where the part ends."""
        match = _CONTENT_RANGE.fullmatch(answered.headers.get("content-range", ""))
        first, last, of_nbytes = map(int, match.groups()) if match else (-1, -1, 0)
        fits = first == offset <= last < of_nbytes and answered.nbytes in (None, last + 1 - first)
        if not fits or answered.validator() not in (None, validator):
            raise self._other_part()
        self.part.cut(offset)
        return of_nbytes

    def _begin(self, answered: Answer) -> int | None:
        """Return the size of the whole, None where it is not said, if the answer is the whole."""
        self._require_success(answered)
        self.part.begin(self.url, answered.validator())
        if answered.nbytes is None and not answered.is_chunked and not self.is_pinned:
            raise Refused(
                f"{printable(self.source)} comes without its length, so that a cut could not be told from "
                "its end; give its SHA-256."
            )
        encoding = answered.headers.get("content-encoding", "identity").lower()
        is_packed = self.source.path.endswith((".gz", ".tgz"))  # some servers call the packing of a file its encoding
        if encoding != "identity" and not is_packed and not self.is_pinned:
            raise Refused(f"{printable(self.source)} comes encoded ({shown(encoding)}), unasked; give its SHA-256.")
        return answered.nbytes

    def _require_success(self, answered: Answer) -> None:
        status, where = answered.status, printable(self.source)
        if status == 200:
            return
        if status in (206, 416):  # an answer to what was not asked, or nothing left of what was
            raise self._other_part()
        if status in _PASSING or status >= 500:
            pause = answered.headers.get("retry-after", "")
            raise Faltered(f"answered {status}", float(pause) if re.fullmatch(r"\d{1,9}", pause) else 0.0)
        if status in (404, 410):
            raise NotFound(f"there is no {where} (status {status}); correct the address.")
        raise NotGiven(
            f"{where} was not given (status {status}); see there whether it needs a login or a licence.", status
        )

    def _other_part(self) -> Faltered:
        self.part.cut(0)
        return Faltered("answered with another part than it was asked for")

    def _receive(self, answered: Answer, of_nbytes: int | None) -> None:
        wanted = max(of_nbytes or 0, self.part.nbytes + (answered.nbytes or 0))
        self._require_size(wanted)
        try:
            for piece in answered.body:
                self._take(piece, of_nbytes)
        except httpcore.RemoteProtocolError as error:  # closed too early, or not the pieces that HTTP has
            of = f" of {wanted}" if wanted > self.part.nbytes else ""
            raise Faltered(f"ended after {self.part.nbytes}{of} bytes") from error
        if self.part.nbytes < wanted:
            raise Faltered(f"ended after {self.part.nbytes} of {wanted} bytes")
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
