"""The hashes that MLtrack computed of values, which ignore dtype, shape and names: hints of damage and no proof."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd


def mltrack_v1_hash(value: Any) -> str | None:
    """Return the first 8 digits of the MD5 that version 1 computes, None where it has none for such a value."""
    content = _content(value, str)
    return None if content is None else hashlib.md5(content, usedforsecurity=False).hexdigest()[:8]


def mltrack_v2_hash(value: Any) -> str | None:
    """Return the SHA-256 that version 2 computes, None where it has none for such a value."""
    content = _content(value, lambda document: json.dumps(document, sort_keys=True))
    return None if content is None else hashlib.sha256(content).hexdigest()


def _content(value: Any, spelled: Any) -> bytes | None:
    if isinstance(value, pd.DataFrame):
        return pd.util.hash_pandas_object(value).to_numpy().tobytes()
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, dict | list):
        return bytes(spelled(value).encode())
    return None
