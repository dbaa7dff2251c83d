"""Keeping the gallery current: one small file for each output folder, and the page that is made of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from smalti.errors import Refused
from smalti.gallery.entry import Entry, entry_of
from smalti.gallery.page import gallery_page
from smalti.outputs.folder import PAGE, folder_key, read_contents
from smalti.outputs.page import is_page
from smalti.store.commit import alone, machine_errors, make_folder
from smalti.tracking.work_file import replace_file

_ENTRIES = Path(".gallery") / "entries"
_LOCK = Path(".gallery") / "lock"
_HEAD_NBYTES = 200


def update_gallery(folder: Path, keys: Iterable[str], dagster_url: str = "") -> Path:
    """Show the output folders of these keys as they are now, and return the path of the page.

    Entries of folders that are gone are dropped. Only the small files of the other entries are read.

    Args:
        folder: the folder of all outputs.
        keys: of scans and datasets, as they were given to :func:`smalti.outputs.folder.write_parts`.
        dagster_url: where Dagster is opened, for links to runs and assets; "" for none.

    Raises:
        Refused: in the place of the page is something that is none of ours.
        Unavailable: the disk is full, or may not be written.
    """
    page = folder / PAGE
    with machine_errors(f"writing {page}"):
        make_folder(folder / _ENTRIES)
        with alone(folder / _LOCK):
            _check_place(page)
            for key in dict.fromkeys(map(folder_key, keys)):
                _remember(folder, key)
            replace_file(page, gallery_page(_entries(folder), dagster_url).encode())
    return page


def rebuild_gallery(folder: Path, dagster_url: str = "") -> Path:
    """Show every output folder as it is now, whatever was remembered; as :func:`update_gallery`."""
    with machine_errors(f"reading {folder}"):
        keys = [path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return update_gallery(folder, keys, dagster_url)


def _remember(folder: Path, key: str) -> None:
    contents = read_contents(folder / key)
    place = folder / _ENTRIES / f"{key}.json"
    if contents is None:
        place.unlink(missing_ok=True)
    else:
        replace_file(place, json.dumps(entry_of(key, contents).to_json()).encode())


def _entries(folder: Path) -> list[Entry]:
    """Return all entries whose folder is there; files of those whose folder is gone are removed."""
    with os.scandir(folder) as found:
        there = {entry.name for entry in found}
    entries = []
    with os.scandir(folder / _ENTRIES) as found:
        files = [entry.path for entry in found if entry.name.endswith(".json")]
    for file in files:
        if Path(file).stem not in there:
            Path(file).unlink(missing_ok=True)
            continue
        with suppress(FileNotFoundError, ValueError, TypeError, KeyError), Path(file).open("rb") as opened:
            entries.append(Entry.from_json(json.loads(opened.read())))
    return entries


def _check_place(page: Path) -> None:
    """Refuse a place that is taken by something that is no page of ours."""
    if not os.path.lexists(page):
        return
    if page.is_file() and not page.is_symlink():
        with page.open("rb") as file:
            if is_page(file.read(_HEAD_NBYTES)):
                return
    raise Refused(f"{page} is no gallery of Smalti, so it is not replaced; move it away.")
