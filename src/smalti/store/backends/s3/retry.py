"""How often and how long a bucket is asked again, and which answers are worth it."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import RetryConfig

NOT_IMPLEMENTED = 501
_TRANSIENT = {408, 409, 425, 429}  # and what is 500 or more
# How servers say, with 400 or 404, that a request, or one before it, did not arrive as it was sent.
_HARMED = {
    "BadDigest",
    "EntityTooSmall",
    "IncompleteBody",
    "InvalidDigest",
    "InvalidPart",
    "MalformedXML",
    "NoSuchKey",  # of a write: a RADOS gateway that got half a body
    "NoSuchUpload",
    "RequestTimeout",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
}


@dataclass(frozen=True, slots=True)
class Retry:
    """The budget of one request.

    Attributes:
        tries: at most so many, the first included.
        seconds: after so long no other is begun.
        first_wait_seconds, longest_wait_seconds: the wait before a try is drawn from 0 to a bound that begins with the
            first and doubles up to the other.
    """

    tries: int = 6
    seconds: float = 60.0
    first_wait_seconds: float = 0.1
    longest_wait_seconds: float = 5.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[float, float], float] = random.uniform

    def attempts(self) -> Iterator[int]:
        """Yield the number of each try, after the wait before it; end when the budget is used up."""
        begun = self.clock()
        for number in range(self.tries):
            if number:
                wait = self.draw(0, min(self.first_wait_seconds * 2 ** (number - 1), self.longest_wait_seconds))
                if self.clock() + wait - begun >= self.seconds:
                    return
                self.sleep(wait)
            yield number

    def below(self, tries: int) -> RetryConfig:
        """Return the same for requests that obstore itself makes again."""
        return {
            "max_retries": tries - 1,
            "retry_timeout": timedelta(seconds=self.seconds),
            "backoff": {
                "init_backoff": timedelta(seconds=self.first_wait_seconds),
                "max_backoff": timedelta(seconds=self.longest_wait_seconds),
                "base": 2,
            },
        }


USUAL = Retry()


def status_of(error: Exception | None) -> int | None:
    """Return the HTTP status a server answered, None where no answer came."""
    match = re.search(r"status code: (\d{3})", str(error))
    return int(match[1]) if match else None


def code_of(error: Exception | None) -> str:
    """Return the S3 error code a server answered, or ""."""
    match = re.search(r"<Code>(\w{1,64})</Code>", str(error))
    return match[1] if match else ""


def is_transient(error: Exception) -> bool:
    """Tell whether the same request may be answered otherwise: the server is busy, or the line harmed it."""
    status = status_of(error)
    if status in {400, 404}:  # a 400 that names no reason is not from S3 but from what could not read the request
        return code_of(error) in _HARMED or (status == 400 and not code_of(error))
    return status is None or status in _TRANSIENT or (status >= 500 and status != NOT_IMPLEMENTED)
