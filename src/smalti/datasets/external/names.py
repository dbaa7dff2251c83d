"""What datasets and their files are called below ``data/external``."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from smalti.contracts.violation import shown
from smalti.errors import Refused

SOURCE = ".source.json"
REPOSITORY = ".repository.json"
RECORDS = (SOURCE, REPOSITORY)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,149}")
_ARCHIVE = re.compile(r"\.(zip|tar|t(ar\.)?(gz|bz2|xz|zst)|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 150


def checked_name(name: str) -> str:
    """Return the name of a dataset, which becomes that of a folder.

    Raises:
        Refused: it is not made of ASCII letters, digits, dots, hyphens and underscores, or means a record.
    """
    if not _NAME.fullmatch(name) or name.lower().endswith(RECORDS):
        raise Refused(
            f"{shown(name)!r} cannot name a dataset; begin with a letter or digit, go on with those, '.', '_' and '-', "
            f"150 characters at most, and do not end in {' or '.join(RECORDS)}."
        )
    return name


def file_name(url: str) -> str:
    """Return a clean name for the file at a URL: of its path, never of its query.

    >>> file_name("https://example.org/a/b%20c.zip?token=1"), file_name("https://example.org/")
    ('b_c.zip', 'download')
    """
    last = PurePosixPath(unquote(urlsplit(url).path)).name
    return _NOT_PLAIN.sub("_", last).lstrip("._-")[-_LONGEST:].lstrip("._-") or "download"


def joined_name(*parts: str) -> str:
    """Return one name for a dataset out of several texts; other texts give another name.

    >>> joined_name("owner--name", "en", "train"), joined_name("owner--name", "en US", "train")
    ('owner--name--en--train', 'owner--name--en_US--train--f00150c8e6e3')
    """
    raw = "--".join(parts)
    plain = _NOT_PLAIN.sub("_", raw).lstrip("._-")
    if plain == raw and len(raw) <= _LONGEST and all("--" not in part for part in parts[1:]):
        return raw
    return f"{plain[: _LONGEST - 14]}--{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]}"


def is_archive(name: str) -> bool:
    """Tell whether a file is an archive, by its name.

    >>> is_archive("a.tar.gz"), is_archive("a.npz"), is_archive("a.csv.gz")
    (True, False, False)
    """
    return _ARCHIVE.search(name) is not None
