"""A datamate tree: folders with ``_meta.yaml``, arrays as ``.h5``, tables as ``.csv``, and any other files.

A folder becomes a tree value: arrays and tables under their names without ending, as datamate gives them, other files
as bytes under their whole name, folders as trees, and what ``_meta.yaml`` says as the attribute ``_meta``. Each folder
has a name, ``<prefix>/<path>``. For smalti.Directory nothing has to be converted: it opens the folder as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smalti.canonical import Json
from smalti.errors import SmaltiError
from smalti.migration.layouts.description import text
from smalti.migration.naming import path_name, segment
from smalti.migration.plan import Facts, FailedRun, FilePart, NamedValue, Part, Plan, TreePart
from smalti.migration.sources.source import Left, Source
from smalti.migration.values.documents import yaml_document
from smalti.migration.values.forms import Form

KIND = "datamate"
META = "_meta.yaml"
_STATUS = {"running": "running", "stopped": "stopped"}  # done, and manually written, are finished
_FORMS: dict[str, Form] = {".h5": "hdf5 array", ".csv": "csv table"}


@dataclass(slots=True)
class _Folder:
    """A folder: name -> file, and name -> folder."""

    files: dict[str, str] = field(default_factory=dict)
    folders: dict[str, _Folder] = field(default_factory=dict)


def recognises(paths: Mapping[str, Any]) -> bool:
    """Tell whether files lie as in this layout."""
    return any(path.rsplit("/", 1)[-1] == META for path in paths)


def plan(source: Source, prefix: str) -> Plan:
    """Return what the folders become: the source itself where it is one of datamate's, else those in it."""
    top = _Folder()
    for path in source.files:
        *folders, name = path.split("/")
        folder = top
        for part in folders:
            folder = folder.folders.setdefault(part, _Folder())
        folder.files[name] = path
    named = prefix.strip("/") or segment(source.place.rstrip("/").rsplit("/", 1)[-1])
    values: list[NamedValue] = []
    failed: list[FailedRun] = []
    whole = META in top.files or any(_form(name) != "bytes" for name in top.files)
    tops = {"": top} if whole else top.folders
    for path, folder in tops.items():
        try:
            _planned(source, folder, path, path_name(f"{named}/{path}" if path else named), values, is_top=True)
        except SmaltiError as error:
            failed.append(FailedRun(path or source.place, str(error)))
    beside = "lies beside the folders of datamate and in none of them"
    loose = () if whole else tuple(Left(path, beside) for path in top.files.values())
    return Plan(KIND, source.place, values=tuple(reversed(values)), failed=tuple(failed), left=(*source.left, *loose))


def _planned(
    source: Source, folder: _Folder, path: str, name: str, values: list[NamedValue], *, is_top: bool = False
) -> TreePart:
    """Return the tree of a folder, and add what is to be named: folders before those that they lie in."""
    remarks: list[str] = []
    children: dict[str, Part] = {}
    attrs: dict[str, Json] = {}
    for filename, where in folder.files.items():
        if filename == META:
            try:
                attrs["_meta"] = yaml_document(source.read(where), where)
                continue
            except SmaltiError as error:
                remarks.append(f"{META} is kept as bytes: {error}")
        children[_key(filename, folder)] = FilePart(where, _form(filename), source.files[where].nbytes)
    inner: list[NamedValue] = []
    for part, below in folder.folders.items():
        inside = f"{path}/{part}" if path else part
        children[part] = _planned(source, below, inside, f"{name}/{segment(part)}", inner)
    tree = TreePart(children, attrs)
    values += [*inner, NamedValue(name, path, tree, _facts(path, attrs) if is_top else None, tuple(remarks))]
    return tree


def _facts(path: str, attrs: Mapping[str, Json]) -> Facts:
    """Return what a folder says of how it was made: its config as parameters, its status, its type."""
    meta = attrs.get("_meta")
    said = meta if isinstance(meta, Mapping) else {}
    config = said.get("config", said.get("spec"))
    made_by = config.get("type") if isinstance(config, Mapping) else None
    return Facts(
        tags={"type": text(made_by)} if text(made_by) else {},
        parameters=config if isinstance(config, Mapping) else {},
        status=_STATUS.get(text(said.get("status")), "finished"),
        notes={"migrated_from": {"layout": KIND, "path": path or "."}},
    )


def _form(filename: str) -> Form:
    return next((form for ending, form in _FORMS.items() if filename.endswith(ending) and filename != ending), "bytes")


def _key(filename: str, folder: _Folder) -> str:
    """Return what a file is called in the tree: without its ending where datamate shows it so and nothing else is."""
    if _form(filename) == "bytes":
        return filename
    stem = filename.rsplit(".", 1)[0]
    rivals = [stem in folder.files, stem in folder.folders, *(f"{stem}{ending}" in folder.files for ending in _FORMS)]
    return stem if sum(rivals) == 1 and stem != "_meta" else filename
