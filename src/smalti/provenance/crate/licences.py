"""Web addresses of licences that cards name in words."""

from __future__ import annotations

import re

_SPDX = "https://spdx.org/licenses/"
_KNOWN = {
    "apache 2.0": "Apache-2.0",
    "bsd 3 clause": "BSD-3-Clause",
    "cc by 4.0": "CC-BY-4.0",
    "cc by nc 4.0": "CC-BY-NC-4.0",
    "cc by sa 4.0": "CC-BY-SA-4.0",
    "cc0": "CC0-1.0",
    "cc0 1.0": "CC0-1.0",
    "mit": "MIT",
}


def licence_url(said: str) -> str:
    """Return the address of a licence; "" where the words are not those of one that is known here.

    >>> licence_url("CC-BY 4.0"), licence_url("https://example.org/terms"), licence_url("ask Ann")
    ('https://spdx.org/licenses/CC-BY-4.0', 'https://example.org/terms', '')
    """
    plain = said.strip()
    if re.fullmatch(r"https?://[!-~]+", plain):
        return plain
    words = re.sub(r"[\s_-]+", " ", plain.lower().removesuffix(" license").removesuffix(" licence"))
    return f"{_SPDX}{_KNOWN[words]}" if words in _KNOWN else ""
