"""The parts of an output folder: what each asset puts into it, which parts belong together, and the composed files."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from smalti.canonical import normalise
from smalti.digest import PREFIX

PARAMETERS = "params.json"  # says what a folder holds the outputs of: {"scan": "run7", ...}
LOG = "logs/debug.log"
OLDER = "older"  # the folder of parts that were made from older versions than the other parts show

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Lines of a CSV file that several parts add to."""

    columns: Row
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """What the gallery shows of a part.

    Attributes:
        figures: label and text of each number, such as ("R-factor", "0.0213").
        thumbnail: path of its picture in the output folder; "" for none.
        alt: what the picture shows, in words.
        rank: of the pictures of one folder, the one of highest rank is shown.
        links: label, and path relative to the folder of all outputs, of files beside the output folder.
    """

    figures: tuple[tuple[str, str], ...] = ()
    thumbnail: str = ""
    alt: str = ""
    rank: int = 0
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """What one asset puts into an output folder.

    Attributes:
        asset: the name of the part.
        digest: of the stored value that it shows; "" where it is not stored.
        made_from: digest of what that was made from, by name; a name may be that of another part.
        version: by which other parts compare it, where the digest of its value tells more apart than they care for; ""
            takes the digest, else one of its files.
        versions: of what it was made from, by name, where that is compared by version.
        files: content by path; they belong to this part alone.
        tables: its lines of CSV files that parts share, by path.
        parameters: its fields of ``params.json``.
        log: its lines of ``logs/debug.log``, without line ends.
        card: what the gallery shows of it.
        run_id: the Dagster run that made it; "" for none.
    """

    asset: str
    digest: str = ""
    made_from: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    tables: Mapping[str, Rows] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    log: Sequence[str] = ()
    card: Card = field(default_factory=Card)
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A part as its folder remembers it: all of it but the content of its files, and when it was written."""

    asset: str
    digest: str
    made_from: dict[str, str]
    version: str
    versions: dict[str, str]
    files: tuple[str, ...]
    tables: dict[str, Rows]
    parameters: dict[str, Any]
    log: tuple[str, ...]
    card: Card
    run_id: str
    written_at: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Written:
        """Return what ``to_json`` gave."""
        rows = {
            path: Rows(tuple(of["columns"]), tuple(map(tuple, of["rows"]))) for path, of in document["tables"].items()
        }
        card = document["card"]
        pairs = {name: tuple((label, text) for label, text in card[name]) for name in ("figures", "links")}
        return cls(
            **{
                **document,
                "files": tuple(document["files"]),
                "log": tuple(document["log"]),
                "tables": rows,
                "card": Card(**{**card, **pairs}),
            }
        )


def written(part: Part, before: Written | None, now: str) -> Written:
    """Return what a folder remembers of a part; the time is that of the first part with this digest and version."""
    version = part.version or part.digest or content_digest(part.files)
    same = before is not None and (before.digest, before.version) == (part.digest, version)
    return Written(
        part.asset,
        part.digest,
        dict(part.made_from),
        version,
        dict(part.versions),
        tuple(sorted(part.files)),
        dict(part.tables),
        dict(part.parameters),
        tuple(line.encode(errors="backslashreplace").decode() for line in part.log),
        part.card,
        part.run_id,
        before.written_at if before and same else now,
    )


def content_digest(files: Mapping[str, bytes]) -> str:
    """Return a digest of files, for a part of which nobody says what it shows."""
    content = hashlib.sha256()
    for path, data in sorted(files.items()):
        content.update(f"{path}\0{len(data)}\0".encode())
        content.update(data)
    return PREFIX + content.hexdigest()


def current(parts: Mapping[str, Written]) -> set[str]:
    """Return the parts that belong together: those made from the versions of other parts that are in the folder.

    A part that was made from a version of another part that the folder does not show any more is left out, and so is
    whatever was made from it. What is no part of the folder decides nothing.
    """
    found = set(parts)
    while True:
        left = {
            name
            for name in found
            if all(
                of not in parts or (of in found and parts[of].version == version)
                for of, version in (parts[name].made_from | parts[name].versions).items()
            )
        }
        if left == found:
            return found
        found = left


def composed(of: str, name: str, parts: Iterable[Written]) -> dict[str, bytes]:
    """Return the files that parts which belong together share: ``params.json``, the log and tables."""
    parameters: dict[str, Any] = {}
    read: dict[str, str] = {}
    made: dict[str, str] = {}
    tables: dict[str, list[Rows]] = {}
    lines: list[str] = []
    for part in parts:
        parameters |= part.parameters
        read |= part.made_from
        made |= {part.asset: part.digest} if part.digest else {}
        lines += part.log
        for path, rows in part.tables.items():
            tables.setdefault(path, []).append(rows)
    parameters |= {of: name, "digests": read | made}
    files = {path: _joined(several) for path, several in tables.items()}
    log = "".join(f"{line}\n" for line in lines).encode()
    return files | {PARAMETERS: json_bytes(parameters), LOG: log}


def _joined(several: Sequence[Rows]) -> bytes:
    """Return one CSV file; cells of columns that some of the rows lack are empty."""
    columns = tuple(dict.fromkeys(column for rows in several for column in rows.columns))
    cells = (dict(zip(rows.columns, row, strict=True)) for rows in several for row in rows.rows)
    return csv_bytes(columns, (tuple(row.get(column, "") for column in columns) for row in cells))


def rows_of(columns: Row, rows: Iterable[tuple[object, ...]]) -> Rows:
    """Return rows with each cell as text, floats with all their digits."""
    return Rows(columns, tuple(tuple(str(cell) for cell in row) for row in rows))


def csv_bytes(columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> bytes:
    """Return a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode(errors="backslashreplace")


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """Return indented JSON with sorted keys."""
    return (json.dumps(normalise(value, "the document"), sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()
