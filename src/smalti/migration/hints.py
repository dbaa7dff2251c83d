"""The hashes that MLtrack computed of values, which ignore dtype, shape and names: hints of damage and no proof."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd


def mltrack_v1_hashes(value: Any) -> set[str]:
    """Return the first 8 digits of the MD5 that version 1 computes, in both byte orders; empty for other values."""
    return {hashlib.md5(content, usedforsecurity=False).hexdigest()[:8] for content in _contents(value, sort=False)}


def mltrack_v2_hashes(value: Any) -> set[str]:
    """Return the SHA-256 that version 2 computes, in both byte orders; empty for other values."""
    return {hashlib.sha256(content).hexdigest() for content in _contents(value, sort=True)}


def _contents(value: Any, *, sort: bool) -> Iterator[bytes]:
    if isinstance(value, pd.DataFrame):
        yield pd.util.hash_pandas_object(value).to_numpy().tobytes()
    elif isinstance(value, np.ndarray):
        yield value.tobytes()
        yield value.astype(value.dtype.newbyteorder(">")).tobytes()
    elif isinstance(value, dict | list):
        yield (json.dumps(value, sort_keys=True) if sort else str(value)).encode()
