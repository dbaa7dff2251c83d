"""An output where somebody named a place for it: it appears whole or not at all, and never over a file of others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from smalti.errors import NotFound, Refused
from smalti.store.commit import create_file, machine_errors
from smalti.tracking.work_file import replace_file

_HEAD_NBYTES = 200


def check_place(path: Path, is_ours: Callable[[bytes], bool] | None = None) -> None:
    """Pass a place where an output may be written, before it takes any work.

    Args:
        is_ours: tells by the first bytes of a file that is there whether it may be written over; by default none may.

    Raises:
        NotFound: its folder is none.
        Refused: something is there that may not be written over.
        Unavailable: the machine does not let it be looked at.
    """
    if not path.parent.is_dir():
        raise NotFound(f"{path} cannot be written because {path.parent} is no folder; create it first.")
    if not os.path.lexists(path):
        return
    if is_ours is None:
        raise Refused(f"{path} exists already; name another place with --output.")
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no ordinary file"
        raise Refused(f"{path} is {what}; name a file for the page.")
    with machine_errors(f"reading {path}"), path.open("rb") as file:
        if not is_ours(file.read(_HEAD_NBYTES)):
            raise Refused(f"{path} exists and is no page of Smalti; name another place, or remove it.")


def write_output(path: Path, content: bytes, is_ours: Callable[[bytes], bool] | None = None) -> None:
    """Write an output where :func:`check_place` lets it be written.

    Raises:
        NotFound, Refused: as :func:`check_place`.
        Unavailable: the machine did not let it be written; nothing was left behind.
    """
    check_place(path, is_ours)
    with machine_errors(f"writing {path}"):
        if is_ours is not None and path.exists():
            replace_file(path.resolve(), content)  # a link that leads to a page stays a link
        elif not create_file(path, [content]):
            raise Refused(f"{path} came to exist meanwhile; name another place with --output.")
