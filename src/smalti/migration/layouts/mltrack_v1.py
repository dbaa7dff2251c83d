"""MLtrack's first layout: ``experiments/<experiment>/runs/<run>/{inputs,outputs,models,docker}`` and a manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from smalti.errors import Refused, SmaltiError
from smalti.migration.layouts.description import mapping, text, utc, without_empty
from smalti.migration.naming import run_names
from smalti.migration.plan import Facts, FailedRun, FilePart, FolderPart, Part, Plan, PlannedRun, folder_part
from smalti.migration.sources.source import Source
from smalti.migration.values.documents import json_document
from smalti.migration.values.forms import form_of

KIND = "mltrack-v1"
_RUN = re.compile(r"((?:.*/)?experiments/([^/]+)/runs/([^/]+))/(.+)")
_DATA = re.compile(r"(?P<name>.+)_(?P<at>\d{8}_\d{6})_(?P<hash>[0-9a-f]{8})\.(?:parquet|npy|json)")  # from the right
_SIDE_FILE = re.compile(r"(.+)_metadata\.json")
_MANIFEST = "manifest.json"
_OPAQUE = {"models": "model", "docker": "docker"}


@dataclass(slots=True)
class _Run:
    """The files of one run: path within it -> path in the source."""

    place: str
    experiment: str
    run: str
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Data:
    """A data file, by its name: what it holds, when it was written, and the hash that was computed then."""

    name: str
    at: str
    hint: str
    path: str


def recognises(paths: Mapping[str, Any]) -> bool:
    """Tell whether files lie as in this layout."""
    return any(_RUN.fullmatch(path) for path in paths)


def plan(source: Source, prefix: str) -> Plan:
    """Return what the runs of a source become; one that cannot be read is named and stops no other."""
    found: dict[str, _Run] = {}
    for path in source.files:
        if match := _RUN.fullmatch(path):
            run = found.setdefault(match[1], _Run(match[1], match[2], match[3]))
            run.files[match[4]] = path
    names = run_names(prefix, ((run.place, run.run) for run in found.values()))
    runs: list[PlannedRun] = []
    failed: list[FailedRun] = []
    for place, run in found.items():
        try:
            runs.append(_planned(source, run, names[place]))
        except SmaltiError as error:
            failed.append(FailedRun(place, str(error)))
    return Plan(KIND, source.place, tuple(runs), failed=tuple(failed), left=source.left)


def _planned(source: Source, run: _Run, name: str) -> PlannedRun:
    manifest: dict[str, Any] = {}
    if _MANIFEST in run.files:
        where = run.files[_MANIFEST]
        manifest = mapping(json_document(source.read(where), where), where)
    data = {category: list(_data_of(run, category)) for category in ("inputs", "outputs")}
    remarks: list[str] = [] if manifest else ["it has no manifest; it is rebuilt from its files"]
    parts: dict[str, dict[str, Part]] = {}
    for category, files in data.items():
        said = mapping(manifest.get(category), f"{category} of {run.place}")
        parts[category] = _named(source, files, _names_of(said))
        remarks += _missing(said, files, category)
    parts["outputs"] |= _others(source, run)
    times = sorted(file.at for files in data.values() for file in files)
    notes = without_empty(
        {
            "migrated_from": {"layout": KIND, "key": run.place, "run": run.run},
            "manifest": manifest,
            "side_files": _side_files(source, run, remarks),
        }
    )
    facts = Facts(
        project=run.experiment,
        created_at=utc(manifest.get("timestamp")) or (times[0] if times else ""),
        notes=notes,
    )
    hints = {file.path: file.hint for files in data.values() for file in files}
    return PlannedRun(name, run.place, parts["inputs"], parts["outputs"], facts, hints, tuple(remarks))


def _data_of(run: _Run, category: str) -> Iterator[_Data]:
    """Yield the data files of a category, oldest first."""
    found = []
    for inside, path in run.files.items():
        folder, _, filename = inside.partition("/")
        if folder == category and (match := _DATA.fullmatch(filename)):
            found.append(_Data(match["name"], _time_of(match["at"]), match["hash"], path))
    yield from sorted(found, key=lambda data: (data.at, data.path))


def _time_of(digits: str) -> str:
    """Return the time in a file's name as ISO 8601; "" where the digits are none."""
    try:
        return datetime.strptime(digits, "%Y%m%d_%H%M%S").replace(tzinfo=UTC).isoformat()
    except ValueError:
        return ""


def _names_of(said: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what a manifest calls its data: file name -> names. Where the files lay is only believed so far."""
    names: dict[str, list[str]] = {}
    for name, about in said.items():
        if isinstance(about, Mapping) and (place := text(about.get("s3_location"))):
            names.setdefault(place.rsplit("/", 1)[-1], []).append(name)
    return names


def _named(source: Source, files: list[_Data], names: Mapping[str, list[str]]) -> dict[str, Part]:
    """Return the values of a category: the newest of a name has it, older ones have that of their file."""
    parts: dict[str, Part] = {}
    for file in reversed(files):
        filename = file.path.rsplit("/", 1)[-1]
        part = FilePart(file.path, form_of(file.path), source.files[file.path].nbytes)
        for called in names.get(filename, [file.name]):
            others = (called, filename.rsplit(".", 1)[0], filename)  # the last where there are two formats
            parts[next(name for name in others if name not in parts)] = part
    return dict(sorted(parts.items()))


def _missing(said: Mapping[str, Any], files: list[_Data], category: str) -> Iterator[str]:
    there = {file.path.rsplit("/", 1)[-1] for file in files}
    for filename, names in _names_of(said).items():
        if filename not in there:
            yield f"its manifest names {filename} as {names[0]!r} in {category}, and there is no such file"
    for name, about in said.items():
        if not isinstance(about, Mapping) or not about.get("s3_location"):
            yield f"its manifest names {name!r} in {category} and does not say where it was stored: the upload failed"


def _others(source: Source, run: _Run) -> dict[str, Part]:
    """Return what is no data file of MLtrack's: the model and Docker's files as folders, the rest as it lies."""
    folders: dict[str, dict[str, tuple[str, int, bool]]] = {}
    for inside, path in run.files.items():
        category, _, rest = inside.partition("/")
        if inside == _MANIFEST or (category == "inputs" and _SIDE_FILE.fullmatch(rest) and not _DATA.fullmatch(rest)):
            continue
        if category in ("inputs", "outputs") and _DATA.fullmatch(rest):
            continue
        file = source.files[path]
        name = _OPAQUE.get(category, f"{category}/files" if rest else "files")
        folders.setdefault(name, {})[rest or inside] = (path, file.nbytes, file.executable)
    parts: dict[str, Part] = {}
    for name, files in folders.items():
        folder: FolderPart = folder_part(files)
        parts[name] = folder
    return parts


def _side_files(source: Source, run: _Run, remarks: list[str]) -> dict[str, Any]:
    """Return what is said of the inputs beside them; of several inputs of one name only the last one's is there."""
    found = {}
    for inside, path in run.files.items():
        category, _, rest = inside.partition("/")
        match = _SIDE_FILE.fullmatch(rest)
        if category != "inputs" or not match or _DATA.fullmatch(rest):
            continue
        try:
            found[match[1]] = json_document(source.read(path), path)
        except Refused as error:
            remarks.append(f"what is said of the input {match[1]!r} is left out: {error}")
    return found
