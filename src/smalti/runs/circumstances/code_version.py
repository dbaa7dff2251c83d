"""Which version of the code runs: the commit, and what differs from it."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from smalti.canonical import Json

_LONGEST_DIFF_NBYTES = 10_000_000
_MOST_NAMES = 200
_SLOWEST_GIT_S = 20.0
# What a repository's own configuration may have git run is not run.
_NOTHING_ELSE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


@dataclass(frozen=True, slots=True)
class CodeVersion:
    """Which version of the code runs.

    Attributes:
        said: commit, whether the files differ from it (``dirty``), files that git does not know (``untracked``, their
            names alone), branch, and ``repository``, where it comes from.
        diff: ``git diff`` against the commit, b"" where nothing differs; of more than 10 MB only the size is said.
    """

    said: dict[str, Json]
    diff: bytes = b""


@functools.cache
def code_version(folder: Path) -> CodeVersion:
    """Return the version of the code in a folder, as it was when this process first asked.

    Where there is no git, or no repository, nothing is said.
    """
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return CodeVersion({})
    said: dict[str, Json] = {"commit": commit.decode().strip()}
    diff = _git(folder, "diff", "--binary", "--no-ext-diff", "--no-textconv", "HEAD") or b""
    if len(diff) > _LONGEST_DIFF_NBYTES:
        said["diff_nbytes"] = len(diff)
    listed = _git(folder, "ls-files", "--others", "--exclude-standard", "--full-name", "-z", ":/") or b""
    untracked = [name.decode("utf-8", "replace") for name in listed.split(b"\0") if name]
    said["dirty"] = bool(diff)
    if untracked:
        said["untracked"] = list[Json](untracked[:_MOST_NAMES])
    if branch := _git(folder, "symbolic-ref", "--short", "--quiet", "HEAD"):
        said["branch"] = branch.decode().strip()
    if url := _git(folder, "remote", "get-url", "origin"):
        said["repository"] = without_credentials(url.decode().strip())
    return CodeVersion(said, diff if len(diff) <= _LONGEST_DIFF_NBYTES else b"")


def folder_of_the_program() -> Path:
    """Return the folder of the script that runs, else the current one."""
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(program).absolute().parent if program else Path.cwd()


def without_credentials(url: str) -> str:
    """Return a URL without user and password.

    >>> without_credentials("https://me:secret@host/x.git"), without_credentials("git@host:x.git")
    ('https://host/x.git', 'git@host:x.git')
    """
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _git(folder: Path, *arguments: str) -> bytes | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *_NOTHING_ELSE, *arguments],
            capture_output=True,
            check=False,
            env=environment,
            timeout=_SLOWEST_GIT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
