"""A DVC repository on the disk, only ever read: its metafiles (now, or in a git revision), remotes and cache."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smalti.errors import Damaged, NotFound, Refused
from smalti.store.commit import machine_errors
from smalti.tracking import git
from smalti.tracking.dvc.outputs import Output, Uncached, check_md5, outputs_of
from smalti.tracking.scan import check_name
from smalti.tracking.work_file import WorkFile

_CHUNK_NBYTES = 1024 * 1024  # in which DVC 2 reads text, so that a line end between two stays as it is
_USER = re.compile(r"://[^/@]*@")


@dataclass(frozen=True)
class Repository:
    """Attributes:
    root: the folder that holds ``.dvc``.
    cache: the folder of DVC's cache.
    remotes: name -> URL, without user names and passwords.
    default_remote: the name of the default one, or "".
    """

    root: Path
    cache: Path
    remotes: Mapping[str, str]
    default_remote: str

    def outputs(self, revision: str | None = None) -> list[Output | Uncached]:
        """Return every output that the repository describes, now or in a git revision.

        Raises:
            NotFound: git knows no such revision.
            Refused: a metafile is none, or describes something outside; two describe one path.
        """
        metafiles = self._read() if revision is None else self._read_at(revision)
        found: dict[str, Output | Uncached] = {}
        refused: dict[str, Refused] = {}
        for source, content in sorted(metafiles.items()):
            if source.rpartition("/")[2] == "dvc.yaml":
                continue
            try:
                described = list(outputs_of(source, content, metafiles.get(f"{source.removesuffix('.lock')}.yaml")))
            except Refused as error:
                refused[source] = error
                continue
            for one in described:
                if one.path in found:
                    raise Refused(f"{source} describes {one.path}, which another file describes, too; dvc remove one.")
                found[one.path] = one
        for source, refusal in refused.items():
            if not any(f"{source}/".startswith(f"{path}/") for path in found):  # else it is somebody's data
                raise refusal
        inside = {path for path in found if any(path.startswith(f"{other}/") for other in found)}
        return [one for path, one in sorted(found.items()) if path not in inside]

    def place_of(self, md5: str, is_legacy: bool) -> Path | None:
        """Return the file of the cache that has an MD5 (of a folder with ``.dir``), None where there is none."""
        places = [self.cache / name for name in _places(md5, is_legacy)]
        return next((place for place in places if place.is_file()), None)

    def remote_place(self, output: Output, md5: str) -> str:
        """Say where an object would be if it was pushed."""
        name = output.remote or self.default_remote
        if name not in self.remotes:
            return "no remote is configured"
        return f"{self.remotes[name]}/{_places(md5, output.is_legacy)[0]}"

    def listing(self, output: Output, place: Path) -> dict[str, str]:
        """Return what a folder consists of, path -> MD5, from its listing in the cache.

        Raises:
            Damaged: the listing has another MD5.
            Refused: it is none, or names something outside of the folder.
        """
        data = bytes(verified(place, output.md5, is_legacy=False).data)
        where = f"the listing of {output.path}, {place}"
        try:
            entries = json.loads(data)
            files = {entry["relpath"]: entry["md5"] for entry in entries}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Refused(f"{where}, is none of DVC's: {error!r}.") from error
        for path, md5 in files.items():
            if not isinstance(path, str) or not isinstance(md5, str):
                raise Refused(f"{where}, has an entry without a path or an MD5.")
            check_md5(md5, where)
            for part in path.split("/"):
                check_name(part, where)
        if len(files) != len(entries):
            raise Refused(f"{where}, names a file twice.")
        folders = {path[:at] for path in files for at, letter in enumerate(path) if letter == "/"}
        if both := sorted(folders & files.keys()):
            raise Refused(f"{where}, has {both[0]!r} as a file and as a folder.")
        return files

    def _read(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}

        def fail(error: OSError) -> None:
            raise error

        with machine_errors(f"reading {self.root}"):
            for at, folders, names in os.walk(self.root, onerror=fail):
                below = "" if Path(at) == self.root else f"{Path(at).relative_to(self.root).as_posix()}/"
                found |= {below + name: bytes(WorkFile(f"{at}/{name}").data) for name in names if _is_metafile(name)}
                folders[:] = [
                    name for name in folders if name not in (".git", ".dvc") and not Path(at, name, ".dvc").is_dir()
                ]
        return found

    def _read_at(self, revision: str) -> dict[str, bytes]:
        return git.files_at(self.root, revision, _is_metafile)


def open_repository(root: Path) -> Repository:
    """Return the DVC repository in a folder.

    Raises:
        NotFound: there is none.
        Refused: its configuration cannot be read.
    """
    if not (root / ".dvc").is_dir():
        raise NotFound(f"{root} is no DVC repository: there is no folder {root / '.dvc'}; name the one that holds it.")
    options: dict[str, dict[str, str]] = {}
    for name in ("config", "config.local"):
        for section, values in _configuration(root / ".dvc" / name).items():
            options.setdefault(section, {}).update(values)
    cache = options.get("cache", {}).get("dir", "cache")
    remotes = {
        section.removeprefix("remote ").strip("'\""): _USER.sub("://", values["url"]).rstrip("/")
        for section, values in options.items()
        if section.startswith("remote ") and "url" in values
    }
    place = Path(os.path.normpath(root / ".dvc" / Path(cache).expanduser()))
    return Repository(root, place, remotes, options.get("core", {}).get("remote", ""))


def verified(place: Path, md5: str, is_legacy: bool) -> WorkFile:
    """Return a file of the cache.

    Raises:
        Damaged: it has another MD5 than its name says.
    """
    file = WorkFile(place)
    if md5 not in _md5s(file.data, is_legacy):
        raise Damaged(f"{place} does not have the MD5 {md5} that DVC gave it; remove it there, and dvc pull it again.")
    return file


def _md5s(data: memoryview, is_legacy: bool) -> set[str]:
    """Return the MD5s by which DVC may know a file; of those of DVC 2, text is hashed with the line ends of Unix."""
    found = {hashlib.md5(data, usedforsecurity=False).hexdigest()}
    if is_legacy:
        hashed = hashlib.md5(usedforsecurity=False)
        for start in range(0, len(data), _CHUNK_NBYTES):
            hashed.update(bytes(data[start : start + _CHUNK_NBYTES]).replace(b"\r\n", b"\n"))
        found.add(hashed.hexdigest())
    return found


def _places(md5: str, is_legacy: bool) -> list[str]:
    """Return where in a cache, or a remote, an object may be: DVC 3 keeps its own apart from those of DVC 2."""
    legacy = f"{md5[:2]}/{md5[2:]}"
    return [legacy] if is_legacy else [f"files/md5/{legacy}"]


def _is_metafile(name: str) -> bool:
    return name in ("dvc.lock", "dvc.yaml") or (name.endswith(".dvc") and name != ".dvc")


def _configuration(path: Path) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=("#",), default_section="\0")
    try:
        parser.read_string(bytes(WorkFile(path).data).decode())
    except (configparser.Error, UnicodeDecodeError) as error:
        raise Refused(f"{path} is no configuration of DVC's: {' '.join(str(error).split())}.") from error
    return {
        section.strip("'\""): {name: value.strip("'\"") for name, value in parser.items(section)}
        for section in parser.sections()
    }
