"""A folder of outputs for people, on disk: replaced as a whole, and only by newer outputs of the same thing."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from smalti.canonical import loads, normalise
from smalti.errors import Refused
from smalti.ingest.keys import file_key
from smalti.store.commit import alone, machine_errors, make_folder, sync, write_file

PARAMETERS = "params.json"  # says what a folder holds the outputs of: {"scan": "run7", ...}


def replace_folder(folder: Path, of: str, name: str, files: Mapping[str, bytes], known: Collection[str]) -> Path:
    """Write ``files`` as ``folder/<key of name>/`` and return that path; a reader sees all of them or none.

    The new folder is written beside the old one, and the old one is moved away when it is complete; between these two
    renames there is no folder.

    Args:
        folder: the folder of all outputs.
        of: what has the name, ``scan`` or ``dataset``: the field of ``params.json`` that holds it.
        name: any text; its key is the name of the folder, so that it is never a path.
        files: content by path; one of them is ``params.json``.
        known: names at the top of an output folder; a folder that has others is not replaced.

    Raises:
        Refused: the place is taken by the outputs of something else, or by other files.
        Unavailable: the disk is full, or may not be written.
    """
    key = file_key(name)
    made, target, old = folder / f".{key}.part", folder / key, folder / f".{key}.old"
    with machine_errors(f"writing {target}"):
        make_folder(folder)
        with alone(folder / ".lock"):
            replaced = _is_replaced(target, of, name, known)
            for left_by_a_killed_writer in (made, old):
                shutil.rmtree(left_by_a_killed_writer, ignore_errors=True)
            for path, content in files.items():
                make_folder((made / path).parent)
                write_file(made / path, [content])
            for inner in {(made / path).parent for path in files}:
                sync(inner)
            if replaced:
                target.rename(old)
            made.rename(target)
            sync(folder)
            shutil.rmtree(old, ignore_errors=True)
    return target


def csv_bytes(columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> bytes:
    """Return a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """Return indented JSON with sorted keys."""
    return (json.dumps(normalise(value, "the document"), sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()


def _is_replaced(target: Path, of: str, name: str, known: Collection[str]) -> bool:
    """Return whether there are older outputs of the same, to be replaced.

    Raises:
        Refused: something else is there.
    """
    if not os.path.lexists(target):
        return False
    if target.is_dir() and not target.is_symlink():
        foreign = {path.name for path in target.iterdir()} - set(known)
        if not foreign and _named_in(target / PARAMETERS, of) == name:
            return True
    raise Refused(
        f"{target} is not an older folder of {of} {name!r} with nothing in it but outputs, so it is not replaced; "
        f"move it away, or give the {of} another name."
    )


def _named_in(parameters: Path, of: str) -> str | None:
    """Return what a ``params.json`` says that it is of, None where there is no such file or it does not say."""
    try:
        document = loads(parameters.read_bytes())
    except (FileNotFoundError, Refused):
        return None
    name = document.get(of) if isinstance(document, dict) else None
    return name if isinstance(name, str) else None
