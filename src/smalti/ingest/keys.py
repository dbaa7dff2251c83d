"""The key of a file: what a name from outside becomes, safe as a partition, as a store name and as a folder."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator

# The endings that say how a file is read, one of a format and one of a compression; the key is what is left.
_ENDINGS = re.compile(
    r"(?:\.(?:npz|npy|h5|hdf5|hdf|nxs|cxi|mat|csv|tsv|jsonl|ndjson|parquet|arrow|feather|safetensors))?"
    r"(?:\.(?:bz2|gz|zst|zip))?$",
    re.IGNORECASE,
)
_LONGEST_PLAIN = 60  # with the longest mark it still fits into a part of a store name
_MARK_DIGITS = (6, 12, 24, 64)


def file_key(filename: str) -> str:
    """Return the key under which a file is known, where no other file has that key already.

    A name that had to be changed gets six digits of its digest.

    >>> file_key("siemens-star-small.npz.bz2"), file_key("scan7.cxi"), file_key("Läufe 7.npz")
    ('siemens-star-small', 'scan7', 'Laufe-7-508ad4')
    """
    return next(file_keys(filename))


def file_keys(filename: str) -> Iterator[str]:
    """Yield the keys a file may have, the plainest first, each later one with more digits of the name's digest.

    A key has letters, digits, dot, dash and underscore, begins with a letter or digit, has no two dots in a row, and is
    never a path. Names that Unicode holds for equal have equal keys.
    """
    name = same_name(filename)
    stem = _ENDINGS.sub("", name)
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).lstrip("._-")
    plain = re.sub(r"\.{2,}", ".", plain)[:_LONGEST_PLAIN].rstrip(".")
    if plain and plain == stem:
        yield plain
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    for digits in _MARK_DIGITS:
        yield f"{plain}-{digest[:digits]}" if plain else digest[:digits]


def free_key(filename: str, owner: Callable[[str], str | None]) -> str:
    """Return the first key of a file that no other file has.

    Args:
        filename: its name, without folders.
        owner: gives the name of the file that has a key, or None; keys that differ by case only are one key to it,
            because some file systems ignore case.
    """
    return next(key for key in file_keys(filename) if owner(key) in (None, same_name(filename)))


def same_name(filename: str) -> str:
    """Return a file name in the one spelling Unicode has for it (NFC)."""
    return unicodedata.normalize("NFC", filename)
