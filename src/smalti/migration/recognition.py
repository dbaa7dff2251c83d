"""Which system a source is of, by what lies in it; where two are found, somebody has to say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from smalti.errors import Ambiguous, NotFound, Refused
from smalti.migration.layouts import datamate, mlflow_files, mltrack_v1, mltrack_v2
from smalti.migration.naming import check_prefix
from smalti.migration.plan import Plan
from smalti.migration.sources.bucket import bucket_source
from smalti.migration.sources.folder import folder_source
from smalti.migration.sources.source import Source
from smalti.store.commit import machine_errors

_LAYOUTS: Mapping[str, ModuleType] = {
    layout.KIND: layout for layout in (mltrack_v1, mltrack_v2, datamate, mlflow_files)
}
KINDS = tuple(_LAYOUTS)
_DATABASES = ("sqlite:", "postgresql", "mysql", "mssql")
_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class OpenedSource:
    """A source, the system it is of, and how it is planned for names that begin with a prefix."""

    source: Source
    kind: str
    planned: Callable[[str], Plan]

    def plan(self, prefix: str) -> Plan:
        """Return what the source becomes, under names that begin with a prefix.

        Raises:
            Refused: names cannot begin so.
        """
        check_prefix(prefix, is_path=self.kind == datamate.KIND)
        return self.planned(prefix)


@contextmanager
def open_source(where: str, kind: str | None = None, endpoint: str | None = None) -> Iterator[OpenedSource]:
    """Open a source for reading: a folder, ``s3://bucket/prefix``, or an MLflow tracking URI or database file.

    Args:
        kind: one of ``KINDS``; by default what the files in it say.

    Raises:
        NotFound: there is nothing there, or nothing that is known.
        Ambiguous: there are several systems in it, and ``kind`` does not say which is meant.
        Refused: ``kind`` is not known, or the source cannot be of it.
    """
    if kind is not None and kind not in KINDS:
        raise Refused(f"{kind!r} is no system that is migrated from; choose one of {', '.join(KINDS)}.")
    if tracking := _tracking_uri(where):
        if kind not in (None, mlflow_files.KIND):
            raise Refused(
                f"the source is a tracking store of MLflow and none of {kind}; leave that out, or name a folder."
            )
        from smalti.migration.layouts import mlflow_client
        from smalti.migration.sources.tracking_store import tracking_store

        with tracking_store(tracking) as store:
            yield OpenedSource(store, mlflow_files.KIND, lambda prefix: mlflow_client.plan(store, prefix))
        return
    source = bucket_source(where, endpoint) if where.startswith("s3://") else folder_source(_folder(where))
    found = [name for name, layout in _LAYOUTS.items() if layout.recognises(source.files)]
    chosen = _chosen(found, kind, source)
    layout: Any = _LAYOUTS[chosen]
    yield OpenedSource(source, chosen, lambda prefix: layout.plan(source, prefix))


def _chosen(found: list[str], kind: str | None, source: Source) -> str:
    if kind is None and len(found) > 1:
        raise Ambiguous(f"{source.place} holds files of {' and '.join(found)}; say with --from which is meant.")
    if kind is None and not found:
        raise NotFound(
            f"{source.place} holds nothing that is known ({len(source.files)} files): no experiments/<e>/runs/<r>/ and "
            "no data/<hh>/<hash>/ of MLtrack, no _meta.yaml of datamate, no <experiment>/<run>/meta.yaml of MLflow; "
            "name the folder that holds them, or of a datamate tree without any _meta.yaml say --from datamate."
        )
    if kind is not None and kind not in found and not (kind == datamate.KIND and source.files):
        there = f"but files of {' and '.join(found)}" if found else "nor of any other system that is known"
        raise NotFound(f"{source.place} holds no files of {kind}, {there}; name another folder.")
    return kind or found[0]


def _tracking_uri(where: str) -> str | None:
    """Return the tracking URI of MLflow that is meant, None where it is a folder or a bucket."""
    if where.startswith(("http://", "https://", *_DATABASES)):
        return where
    path = Path(where)
    if not path.is_file():
        return None
    with machine_errors(f"reading {path}"), path.open("rb") as file:
        head = file.read(len(_SQLITE))
    if head == _SQLITE:
        return f"sqlite:///{path.absolute()}"
    raise Refused(f"{where} is a file and no database of MLflow; name the folder that holds the runs.")


def _folder(where: str) -> Path:
    if where.startswith("file://"):
        from urllib.parse import unquote, urlsplit

        return Path(unquote(urlsplit(where).path))
    if "://" in where:
        raise Refused(f"{where} is no source; give a folder, s3://bucket/prefix, or a tracking URI of MLflow.")
    return Path(where).expanduser()
