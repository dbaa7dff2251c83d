"""What went wrong with a request to a bucket, in our words: a server's own can repeat what was signed."""

from __future__ import annotations

from smalti.errors import NotFound, Refused, SmaltiError, Unavailable
from smalti.store.backends.s3.retry import NOT_IMPLEMENTED, code_of, status_of

_FORBIDDEN = {401, 403}


class Forbidden(Unavailable):
    """The server knows the request and does not allow it."""


def sentence(doing: str, bucket: str, at: str, error: Exception | None, listing: bool = False) -> SmaltiError:
    """Return the error to raise.

    Args:
        doing: what could not be done, and to which key.
        bucket: its name and where it is.
        at: the endpoint, " at https://...", or "".
        error: what the library said; None where no complete answer came.
        listing: whether keys were listed: a 404 then means the bucket.
    """
    what = f"could not {doing}{at}"
    status, code = status_of(error), code_of(error)
    if code == "NoSuchBucket" or (status == 404 and listing):
        return NotFound(f"there is no bucket {bucket}; create it, or mend the store's URL.")
    answered = f"the server answered {status} {code}".rstrip()
    if status in _FORBIDDEN:
        return Forbidden(
            f"{what}: {answered}; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they are allowed to do."
        )
    if status == NOT_IMPLEMENTED:
        return Refused(f"{what}: {answered}; it lacks a request a store needs, use another server.")
    if status and 300 <= status < 400:
        return Refused(f"{what}: {answered}; the bucket is in another region, set AWS_REGION to it.")
    if status:
        return Unavailable(f"{what}: {answered}; try again, and if it stays so ask who runs the server.")
    return Unavailable(f"{what}: no complete answer came, also when tried again; check the network and the endpoint.")
