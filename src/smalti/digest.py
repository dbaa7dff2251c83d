"""Names made from content: BLAKE3 for a leaf, SHA-256 for an address, and how people may write one."""

from __future__ import annotations

import hashlib
import re

from blake3 import blake3

PREFIX = "sha256:"
LEAF_ID_NBYTES = 32
SHORTEST_PREFIX = 8

_ADDRESS = re.compile(r"sha256:[0-9a-f]{64}")
_HEX_PREFIX = re.compile(rf"(?:sha256:)?([0-9a-f]{{{SHORTEST_PREFIX},64}})")


def leaf_id(data: bytes | memoryview) -> bytes:
    """Return the 32-byte BLAKE3 digest of one leaf."""
    return blake3(data).digest()


def address(header: bytes, leaf_ids: bytes) -> str:
    """Return ``sha256:<hex>`` of the canonical header followed by the 32-byte leaf ids, in order.

    No other pair gives the same bytes: a JSON object is never a proper prefix of another.
    """
    digest = hashlib.sha256(header)
    digest.update(leaf_ids)
    return PREFIX + digest.hexdigest()


def is_address(text: str) -> bool:
    """Tell whether ``text`` is a whole address, ``sha256:`` and 64 lower-case hexadecimal digits."""
    return _ADDRESS.fullmatch(text) is not None


def hex_prefix(text: str) -> str | None:
    """Return the hexadecimal digits when ``text`` can be the beginning of an address, else None.

    >>> hex_prefix("sha256:a3f5c8d2"), hex_prefix("a3f5c8d2"), hex_prefix("a3f5")
    ('a3f5c8d2', 'a3f5c8d2', None)
    """
    match = _HEX_PREFIX.fullmatch(text)
    return match.group(1) if match else None
