"""Documents that check themselves: JSON whose last field is the BLAKE3 digest of what is before it."""

from __future__ import annotations

import json
from typing import Any

from blake3 import blake3

from smalti import canonical
from smalti.errors import Damaged

_CHECK_NBYTES = len(',"check":"') + 64 + len('"}\n')


def seal(document: dict[str, Any]) -> bytes:
    """Return the bytes of a document, a check over them as its last field, and a newline."""
    return seal_spelled(canonical.text(document))


def seal_spelled(body: bytes) -> bytes:
    """Return the same of a JSON object that is spelled already."""
    return body[:-1] + b',"check":"' + blake3(body).hexdigest().encode() + b'"}\n'


def unseal(data: bytes, what: str) -> dict[str, Any]:
    """Return a sealed document without its check.

    Raises:
        Damaged: the bytes are not exactly what ``seal`` wrote.
    """
    body = data[:-_CHECK_NBYTES] + b"}"
    if seal_spelled(body) != data:
        raise Damaged(
            f"{what} is not what was written: its self-check does not match; restore it from another store: "
            "smalti fsck --repair-from STORE."
        )
    try:
        document = json.loads(body.decode())
    except (ValueError, RecursionError) as error:  # sealed by somebody who means harm
        raise Damaged(f"{what} is no JSON document ({error}); restore it from another store.") from error
    if not isinstance(document, dict):
        raise Damaged(f"{what} is a {type(document).__name__}, not a document with fields; restore it.")
    return document
