"""The hashes that MLtrack computed of values, which ignore dtype, shape and names: hints of damage and no proof."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd

Order = Literal["<", ">"]

_BLOCK_NBYTES = 8 << 20
_ORDERS: tuple[Order, ...] = (
    "<",
    ">",
)  # the bytes were hashed as they lay in memory, and a store keeps all arrays little endian


def mltrack_v1_hashes(value: Any) -> set[str]:
    """Return the first 8 digits of the MD5 that version 1 computes, in both byte orders; empty for other values."""
    return {digits[:8] for digits in _hashes(value, lambda: hashlib.md5(usedforsecurity=False), str)}


def mltrack_v2_hashes(value: Any) -> set[str]:
    """Return the SHA-256 that version 2 computes, in both byte orders; empty for other values."""
    return set(_hashes(value, hashlib.sha256, lambda document: json.dumps(document, sort_keys=True)))


def _hashes(value: Any, begun: Callable[[], Any], spelled: Callable[[Any], str]) -> Iterator[str]:
    if isinstance(value, np.ndarray):
        for order in _ORDERS:
            yield _hash_of_blocks(value, order, begun())
        return
    if isinstance(value, pd.DataFrame):
        content = pd.util.hash_pandas_object(value).to_numpy().tobytes()
    elif isinstance(value, dict | list):
        content = spelled(value).encode()
    else:
        return
    done = begun()
    done.update(content)
    yield done.hexdigest()


def _hash_of_blocks(array: np.ndarray, order: Order, hashing: Any) -> str:
    """Return the hash of an array's bytes in C order, some rows at a time."""
    rows = np.atleast_1d(array)
    at_once = max(1, _BLOCK_NBYTES // max(1, rows.nbytes // max(1, len(rows))))
    for start in range(0, len(rows), at_once):
        block = rows[start : start + at_once]
        hashing.update(np.ascontiguousarray(block, block.dtype.newbyteorder(order)).tobytes())
    return str(hashing.hexdigest())
