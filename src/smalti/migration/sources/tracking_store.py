"""A source that is an MLflow tracking store, asked through MLflow's client: a database or a server.

Artifacts of a database are read as files where they lie in a folder of this machine. Those of a server come through
the client; a server that says they lie in a folder of this machine is not believed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from smalti.errors import NotFound, Refused, SmaltiError, Unavailable
from smalti.migration.plan import FolderPart, folder_part
from smalti.migration.sources.folder import folder_source
from smalti.migration.sources.source import Left, Source, SourceFile, check_small, unsafe_path
from smalti.store.commit import machine_errors
from smalti.tracking.work_file import Look, look_of

_UNKNOWN_NS = 2**62  # when an artifact of a server was written is not said, so it is never taken for unchanged
_DEEPEST = 32
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}")
_SECRET = re.compile(r"://[^/@\s]*@")  # a user and a password before a host
_MOST_ARTIFACTS = 1_000_000


@dataclass(slots=True)
class TrackingSource:
    """Artifacts of the runs of a tracking store.

    Attributes:
        place: its URI, without a password.
        uri: what the client was given: of a database, that of a copy.
        client: MLflow's.
        fetched: path -> URI of the run or model, and the path of an artifact that its server gives.
        folders: the run or model that paths begin with -> the folder of this machine that they lie in.
    """

    place: str
    uri: str
    client: Any
    files: dict[str, SourceFile] = field(default_factory=dict)
    left: tuple[Left, ...] = ()
    fetched: dict[str, tuple[str, str]] = field(default_factory=dict)
    folders: dict[str, Source] = field(default_factory=dict)

    def read(self, path: str) -> bytes:
        """Return a small artifact."""
        check_small(self.files[path], self.place)
        with self.local(path) as file:
            return file.read_bytes()

    @contextmanager
    def local(self, path: str) -> Iterator[Path]:
        """Give an artifact as a file of this machine; raises Unavailable where the server does not give it."""
        owner, _, inside = path.partition("/")
        if owner in self.folders:
            with self.folders[owner].local(inside) as file:
                yield file
            return
        with tempfile.TemporaryDirectory(prefix="smalti-") as folder:
            uri, artifact = self.fetched[path]
            with said(f"fetching {path} from {self.place}"):
                from mlflow.artifacts import download_artifacts

                if uri == owner:  # a run: the path of its artifact is taken as it is, not as a part of a URI
                    got = Path(self.client.download_artifacts(owner, artifact, folder))
                else:
                    got = Path(download_artifacts(f"{uri}/{artifact}", dst_path=folder, tracking_uri=self.uri))
            if not got.is_file() or not got.resolve().is_relative_to(Path(folder).resolve()):
                raise Refused(f"{path} came from {self.place} as something else than a file; look into it there.")
            if got.stat().st_size != self.files[path].nbytes:
                raise Unavailable(f"{path} came from {self.place} with another size than was listed; try again.")
            yield got


@contextmanager
def tracking_store(uri: str) -> Iterator[TrackingSource]:
    """Open a tracking store for reading; SQLite's database is copied first, as the client writes to what it opens.

    Raises:
        NotFound: MLflow is not installed, or there is no such database.
        Unavailable: the store does not answer, or is of another version.
    """
    with contextlib.ExitStack() as cleanup:
        asked = uri
        if uri.startswith("sqlite:"):
            folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="smalti-")))
            asked = f"sqlite:///{_copied(_database_of(uri), folder / 'mlflow.db')}"
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise NotFound(
                "MLflow's client is not installed, and only it reads a tracking store; pip install 'smalti[mlflow]'."
            ) from error
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # else one for each file
        with said(f"opening {_shown(uri)}"):
            source = TrackingSource(_shown(uri), asked, MlflowClient(asked))
        yield source


def artifacts_of(
    source: TrackingSource, owner: str, uri: str, listed: Callable[..., Any], asked: str
) -> tuple[FolderPart, list[str]]:
    """Return the artifacts of a run or a model, and remarks about what is left.

    Raises:
        Refused: the id is none of MLflow's.

    Args:
        owner: the id of the run or the model.
        uri: where MLflow says they are.
        listed: lists the entries of a folder of them, given the owner and a path.
        asked: what the client downloads them by: the id of the run, or a URI.
    """
    if not _ID.fullmatch(owner):
        raise Refused(f"{owner[:80]!r} is no id of a run or a model of MLflow; look into it at {source.place}.")
    folder = _local_folder(uri)
    if folder is None:
        return _listed(source, owner, listed, asked)
    if source.place.startswith("http"):
        return FolderPart({}), [f"its artifacts are said to lie in {folder}, a folder of this machine, and are left"]
    if not folder.is_dir():  # MLflow makes it with the first artifact, below that of the experiment
        gone = f"its artifacts are left, if it has any: there is no {folder.parent.parent}; put it back where it was"
        return FolderPart({}), [] if folder.parent.parent.is_dir() else [gone]
    inside = folder_source(folder)
    source.folders[owner] = inside
    source.files.update({f"{owner}/{path}": _renamed(file, f"{owner}/{path}") for path, file in inside.files.items()})
    files = {path: (f"{owner}/{path}", file.nbytes, file.executable) for path, file in inside.files.items()}
    return folder_part(files), [f"{left.path} {left.why}" for left in inside.left]


def _listed(source: TrackingSource, owner: str, listed: Callable[..., Any], asked: str) -> tuple[FolderPart, list[str]]:
    found: dict[str, tuple[str, int, bool]] = {}
    remarks: list[str] = []
    waiting: list[str | None] = [None]
    while waiting:
        for entry in listed(owner, waiting.pop()):
            if why := unsafe_path(entry.path):
                remarks.append(f"the artifact {entry.path!r} {why} and is left")
            elif entry.is_dir and entry.path.count("/") < _DEEPEST:
                waiting.append(entry.path)
            elif not entry.is_dir and len(found) < _MOST_ARTIFACTS:
                path, nbytes = f"{owner}/{entry.path}", int(entry.file_size or 0)
                found[entry.path] = (path, nbytes, False)
                source.files[path] = SourceFile(path, nbytes, Look(nbytes, _UNKNOWN_NS, 0, 0))
                source.fetched[path] = (asked, entry.path)
            else:
                remarks.append(f"the artifact {entry.path!r} lies too deep, or is one too many, and is left")
    return folder_part(found), remarks


def _renamed(file: SourceFile, path: str) -> SourceFile:
    return SourceFile(path, file.nbytes, file.look, file.executable)


def _local_folder(uri: str) -> Path | None:
    """Return the folder of this machine that a URI stands for, or None."""
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    return Path(uri) if not parts.scheme else None


def _database_of(uri: str) -> Path:
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or not path.is_file():
        raise NotFound(f"there is no database {uri}; write sqlite:///path/of/mlflow.db.")
    return path


def _copied(database: Path, target: Path) -> Path:
    """Copy a database and what belongs to it: opened in place, SQLite might write beside it."""
    with machine_errors(f"copying {database}"):
        before = look_of(database.stat())
        for ending in ("", "-wal", "-journal"):
            beside = database.with_name(database.name + ending)
            if beside.is_file():
                shutil.copyfile(beside, target.with_name(target.name + ending))
        if look_of(database.stat()) != before:
            raise Refused(f"{database} was written to while it was copied; stop what writes to it and try again.")
        with contextlib.closing(sqlite3.connect(target)) as copy:
            sound = copy.execute("PRAGMA quick_check").fetchone() == ("ok",)
    if not sound:
        raise Refused(f"{database} is damaged, or was written to while it was copied; stop what writes to it.")
    return target


def _shown(uri: str) -> str:
    """Return a URI without user and password."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


@contextmanager
def said(doing: str) -> Iterator[None]:
    """Turn what MLflow's client raises into one sentence."""
    try:
        yield
    except SmaltiError:
        raise
    except Exception as error:  # the client and the libraries below it have no common one
        said = _SECRET.sub("://", " ".join(str(error).split()))[:300]
        raise Unavailable(f"could not finish {doing}: MLflow says {type(error).__name__}: {said}.") from error
