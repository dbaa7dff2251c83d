"""Numbers as manifests keep them."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

from smalti.canonical import Json


def plain_number(value: Any) -> Json:
    """Return a number of numpy, MLX or PyTorch, or an array of one, as JSON; what JSON lacks becomes text.

    >>> import numpy as np
    >>> plain_number(np.float32(0.5)), plain_number(float("nan")), plain_number(3)
    (0.5, 'nan', 3)
    """
    if not isinstance(value, bool | int | float | str) and callable(item := getattr(value, "item", None)):
        with suppress(ValueError, RuntimeError):  # more than one number: whoever keeps it says what it takes
            value = item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    plain: Json = value
    return plain
