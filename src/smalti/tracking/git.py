"""What is asked of git: where its work tree is, what it keeps or ignores, a pointer file at an earlier revision."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from smalti.errors import NotFound, Refused, Unavailable
from smalti.store.commit import machine_errors
from smalti.tracking.pointer import Pointer, parse, pointer_path
from smalti.tracking.work_file import replace_file

if TYPE_CHECKING:
    import subprocess

_SPECIAL = re.compile(r"([\\*?\[\]!#]| (?=\s*$))")  # what a line of .gitignore would take for something else


def work_tree_of(path: Path) -> Path | None:
    """Return the git work tree that a path lies in, None where there is none. git itself is not run."""
    parents = Path(os.path.abspath(path)).parents  # noqa: PTH100, links above are as good as folders
    return next((folder for folder in parents if (folder / ".git").exists()), None)


def ignore(path: Path) -> bool:
    """Have git ignore a path, by a line in the ``.gitignore`` beside it; return False where one is there already."""
    ignoring = path.with_name(".gitignore")
    line = "/" + _SPECIAL.sub(r"\\\1", path.name)
    with machine_errors(f"writing {ignoring}"):
        try:
            content = ignoring.read_bytes()
        except FileNotFoundError:
            content = b""
        if line.encode() in (there.rstrip(b"\r") for there in content.split(b"\n")):
            return False
        end = b"" if not content or content.endswith(b"\n") else b"\n"
        replace_file(ignoring, content + end + line.encode() + b"\n")
    return True


def ignore_store(place: Path, folder: Path) -> list[Path]:
    """Have git ignore the store at ``place`` where that lies in the work tree around a folder; return what was written.

    Args:
        folder: one of the work tree.
    """
    work_tree = work_tree_of(folder / ".git")
    if work_tree and place.is_absolute() and place.is_relative_to(work_tree) and place != work_tree and ignore(place):
        return [place.with_name(".gitignore")]
    return []


def check_addable(path: Path) -> None:
    """Make sure that git does not keep a path itself, or anything in it.

    Raises:
        Refused: it does.
    """
    listed = _git(path.parent, "ls-files", "-z", "--", f":(literal){path.name}").stdout
    if listed:
        raise Refused(
            f"{path} is in git already, which would keep every version of it; take it out, the file stays: "
            f"git rm -r --cached {path}; then put it again."
        )


def ignores(path: Path) -> bool:
    """Tell whether git ignores a path, so that it would not be committed."""
    return _git(path.parent, "check-ignore", "-q", "--", path.name).returncode == 0


def pointer_at(path: Path, revision: str) -> Pointer:
    """Return the pointer of a path as it was committed in a revision.

    Raises:
        NotFound: git knows no such revision, or there was no pointer in it.
        Refused: the file was no pointer then.
        Unavailable: git is not installed.
    """
    commit = commit_of(path.parent, revision)
    if commit is None:
        raise NotFound(f"{revision!r} is no revision of the git repository around {path}; see: git log -- {path}.")
    pointer = pointer_path(path)
    shown = _git(path.parent, "show", f"{commit}:./{pointer.name}")
    if shown.returncode:
        raise NotFound(f"{pointer} is not in the revision {revision!r}; see: git log -- {pointer}.")
    return parse(shown.stdout, f"{pointer} in {revision}")


def commit_of(folder: Path, revision: str) -> str | None:
    """Return the commit that a revision means, None when it means none."""
    wanted = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return _git(folder, *wanted).stdout.decode().strip() or None


def files_at(folder: Path, revision: str, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Return files as they were committed in a revision, path relative to ``folder`` -> content.

    Args:
        wanted: tells by its name, without folders, whether a file is.

    Raises:
        NotFound: git knows no such revision.
        Unavailable: git is not installed.
    """
    commit = commit_of(folder, revision)
    if commit is None:
        raise NotFound(f"{revision!r} is no revision of the git repository around {folder}; see: git log.")
    listed = _git(folder, "ls-tree", "-r", "-z", "--name-only", commit).stdout.decode("utf-8", "surrogateescape")
    paths = [path for path in listed.split("\0") if wanted(path.rpartition("/")[2])]
    return {path: _git(folder, "show", f"{commit}:./{path}").stdout for path in paths}


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    import subprocess  # git is rarely run

    try:
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise Unavailable("git is not installed, and only it knows what was committed; install it.") from error
