"""The output folder of a scan on disk: replaced as a whole, and only if it is an older output folder of that scan."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from smalti.canonical import loads
from smalti.errors import Refused
from smalti.ingest.keys import file_key
from smalti.store.commit import alone, machine_errors, make_folder, sync, write_file

PARAMETERS = "params.json"  # says under ``scan`` which scan a folder is of


def replace_folder(folder: Path, scan_name: str, files: Mapping[str, bytes], known: Collection[str]) -> Path:
    """Write ``files`` as ``folder/<key of the scan>/`` and return that path; a reader sees all of them or none.

    The new folder is written beside the old one, and the old one is moved away when it is complete; between these two
    renames there is no folder.

    Args:
        folder: the folder of all scans.
        scan_name: any text; its key is the name of the folder, so that it is never a path.
        files: content by path; one of them is ``params.json``.
        known: names at the top of an output folder; a folder that has others is not replaced.

    Raises:
        Refused: the place is taken by the outputs of another scan, or by something else.
        Unavailable: the disk is full, or may not be written.
    """
    key = file_key(scan_name)
    made, target, old = folder / f".{key}.part", folder / key, folder / f".{key}.old"
    with machine_errors(f"writing {target}"):
        make_folder(folder)
        with alone(folder / ".lock"):
            replaced = _is_replaced(target, scan_name, known)
            for left_by_a_killed_writer in (made, old):
                shutil.rmtree(left_by_a_killed_writer, ignore_errors=True)
            for name, content in files.items():
                make_folder((made / name).parent)
                write_file(made / name, [content])
            for inner in {(made / name).parent for name in files}:
                sync(inner)
            if replaced:
                target.rename(old)
            made.rename(target)
            sync(folder)
            shutil.rmtree(old, ignore_errors=True)
    return target


def _is_replaced(target: Path, scan_name: str, known: Collection[str]) -> bool:
    """Return whether there is an older output folder of this scan, to be replaced.

    Raises:
        Refused: something else is there.
    """
    if not os.path.lexists(target):
        return False
    if target.is_dir() and not target.is_symlink():
        foreign = {path.name for path in target.iterdir()} - set(known)
        if not foreign and _scan_of(target / PARAMETERS) == scan_name:
            return True
    raise Refused(
        f"{target} is not an older folder of scan {scan_name!r} with nothing in it but outputs, so it is not replaced; "
        "move it away, or give the scan another name."
    )


def _scan_of(parameters: Path) -> str | None:
    """Return the scan that a ``params.json`` names, None where there is no such file or it names none."""
    try:
        document = loads(parameters.read_bytes())
    except (FileNotFoundError, Refused):
        return None
    name = document.get("scan") if isinstance(document, dict) else None
    return name if isinstance(name, str) else None
