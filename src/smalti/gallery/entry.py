"""An entry of the gallery: what it shows of one output folder, and the small file that it is remembered in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from smalti.outputs.folder import Contents

Pairs = tuple[tuple[str, str], ...]
_TABLE = "metrics.csv"
_PAIRS = ("figures", "links")
_TEXTS = ("key", "of", "name", "at", "thumbnail", "alt", "asset", "run_id")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the gallery shows of one output folder.

    Attributes:
        key: the name of the folder.
        of: what it holds the outputs of, ``scan`` or ``dataset``.
        name: of that.
        at: when the newest of its parts was made, ISO 8601.
        thumbnail: path of its picture, relative to the folder of all outputs; "" for none.
        alt: what the picture shows.
        figures: label and text of each number.
        links: label and path, relative to the folder of all outputs.
        older: parts that were made from older versions of what it shows.
        asset: the part made last, and ``run_id`` the Dagster run that made it; "" for none.
    """

    key: str
    of: str
    name: str
    at: str
    thumbnail: str = ""
    alt: str = ""
    figures: Pairs = ()
    links: Pairs = ()
    older: tuple[str, ...] = ()
    asset: str = ""
    run_id: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Entry:
        """Return what ``to_json`` gave.

        Raises:
            TypeError, KeyError, ValueError: it is something else.
        """
        fields: dict[str, Any] = {name: str(document[name]) for name in _TEXTS}
        fields |= {name: tuple((str(label), str(said)) for label, said in document[name]) for name in _PAIRS}
        return cls(**fields, older=tuple(str(name) for name in document["older"]))


def entry_of(key: str, contents: Contents) -> Entry:
    """Return the entry of an output folder: of the parts that belong together, and the names of the others."""
    shown = contents.current()
    newest = max(shown.values(), key=lambda part: part.written_at, default=None)
    pictured = max(
        (part.card for part in shown.values() if part.card.thumbnail), key=lambda card: card.rank, default=None
    )
    tables = {path for part in shown.values() for path in part.tables}
    links = [pair for part in shown.values() for pair in part.card.links]
    return Entry(
        key,
        contents.of,
        contents.name,
        newest.written_at if newest else "",
        f"{key}/{pictured.thumbnail}" if pictured else "",
        pictured.alt if pictured else "",
        tuple(pair for part in shown.values() for pair in part.card.figures),
        (*links, *((("metrics", f"{key}/{_TABLE}"),) if _TABLE in tables else ())),
        tuple(name for name in contents.parts if name not in shown),
        newest.asset if newest else "",
        newest.run_id if newest else "",
    )
