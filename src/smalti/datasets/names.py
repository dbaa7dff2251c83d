"""How datasets are called: one spelling of each name, and the answer to a name that nothing has."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from smalti.contracts.violation import shown
from smalti.errors import NotFound, Refused

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,127}")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def normal_name(name: str) -> str:
    """Return the one spelling under which a dataset is found: lower case, its words joined by ``-``.

    >>> normal_name("House Prices"), normal_name("wikitext_103")
    ('house-prices', 'wikitext-103')

    Raises:
        Refused: something else than letters, digits, dots, spaces, ``_`` and ``-`` is in it, or nothing; or no text is
            given.
    """
    if not isinstance(name, str):
        raise Refused(f"the name of a dataset is text, and {shown(repr(name))} is a {type(name).__name__}.")
    plain = re.sub(r"[\s_-]+", "-", name.strip().lower())
    if not _NAME.fullmatch(plain):
        raise Refused(
            f"{shown(name)!r} cannot be the name of a dataset: use letters, digits, '.', '_' and '-', "
            "at most 128 of them, the first a letter or digit."
        )
    return plain


def name_of_class(class_name: str) -> str:
    """Return the name of the dataset that a class is for.

    >>> name_of_class("HousePricesDataset"), name_of_class("NLPTweetsDataset")
    ('house-prices', 'nlp-tweets')
    """
    return _HUMP.sub("-", class_name.removesuffix("Dataset")).lower()


def unknown(name: str, known: Iterable[str], what: str = "dataset") -> NotFound:
    """Return the error for a name that nothing has: the names like it, and all there are."""
    names = sorted(known)
    near = difflib.get_close_matches(name.strip().lower(), names, n=3, cutoff=0.6)
    hint = f"; did you mean {' or '.join(near)}?" if near else "."
    return NotFound(
        f"{shown(name)} is no {what} that is known here{hint} The {what}s are {', '.join(names) or 'none'}."
    )
