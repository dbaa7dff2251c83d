"""MLtrack's second layout: ``data/<hh>/<hash>/data.<format>``, ``manifests/<run>.json`` and files under ``runs/``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smalti.errors import Refused, SmaltiError
from smalti.migration.layouts.description import mapping, numbers, text, texts, utc, without_empty
from smalti.migration.naming import run_names, segment
from smalti.migration.plan import Facts, FailedRun, FilePart, NamedValue, Part, Plan, PlannedRun, folder_part
from smalti.migration.sources.source import Source
from smalti.migration.values.documents import json_document
from smalti.migration.values.forms import form_of
from smalti.runs.run_types import RunType

KIND = "mltrack-v2"
_DATA = re.compile(r"((?:.*/)?data/([0-9a-f]{2})/(\2[0-9a-f]{62}))/data\.(?:parquet|npy|json)")
_MANIFEST = re.compile(r"(?:.*/)?manifests/([^/]+)\.json")
_RUN = re.compile(r"(?:.*/)?runs/(by_project|by_date|by_type|by_model|all)/(.+)")
_VIEWS = {"by_project": "by_project", "by_date": "by_date", "by_type": "by_type", "by_model": "by_model", "all": "flat"}


@dataclass(slots=True)
class _Layout:
    """What lies where.

    Attributes:
        data: hash -> the data file.
        manifests: run -> its manifest.
        files: run -> path within its folder -> path in the source.
        views: run -> the organisations that have a folder of it.
    """

    data: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    views: dict[str, dict[str, str]] = field(default_factory=dict)


def recognises(paths: Mapping[str, Any]) -> bool:
    """Tell whether files lie as in this layout."""
    return any(_DATA.fullmatch(path) for path in paths) or (
        any(_MANIFEST.fullmatch(path) for path in paths) and any(_RUN.fullmatch(path) for path in paths)
    )


def plan(source: Source, prefix: str) -> Plan:
    """Return what runs and data become; data that no run refers to get names of their own."""
    layout = _layout(source)
    ids = sorted({*layout.manifests, *layout.files})
    names = run_names(prefix, ((run, run) for run in ids))
    runs: list[PlannedRun] = []
    failed: list[FailedRun] = []
    used: set[str] = set()
    for run in ids:
        try:
            runs.append(_planned(source, layout, run, names[run], used))
        except SmaltiError as error:
            failed.append(FailedRun(layout.manifests.get(run, run), str(error)))
    values = [_unclaimed(source, path, digits, prefix) for digits, path in layout.data.items() if path not in used]
    return Plan(KIND, source.place, tuple(runs), tuple(values), tuple(failed), source.left)


def _layout(source: Source) -> _Layout:
    layout = _Layout()
    for path in source.files:
        if match := _DATA.fullmatch(path):
            layout.data[match[3]] = path
        elif match := _MANIFEST.fullmatch(path):
            layout.manifests[match[1]] = path
    for path in source.files:
        if match := _RUN.fullmatch(path):
            group, *rest = match[2].split("/") if match[1] != "all" else ("", *match[2].split("/"))
            if len(rest) > 1:
                layout.files.setdefault(rest[0], {}).setdefault("/".join(rest[1:]), path)
                layout.views.setdefault(rest[0], {})[match[1]] = group
    return layout


def _planned(source: Source, layout: _Layout, run: str, name: str, used: set[str]) -> PlannedRun:
    said: dict[str, Any] = {}
    if where := layout.manifests.get(run):
        said = mapping(json_document(source.read(where), where), where)
    remarks = [] if said else ["it has no manifest; it is rebuilt from its files"]
    parts: dict[str, dict[str, Part]] = {"inputs": {}, "outputs": {}}
    hints: dict[str, str] = {}
    for role, found in parts.items():
        for called, about in mapping(said.get(role), f"{role} of {run}").items():
            digits = text(mapping(about, f"{called} in {run}").get("hash"))
            if path := layout.data.get(digits):
                found[called] = FilePart(path, form_of(path), source.files[path].nbytes)
                hints[path] = digits
                used.add(path)
            else:
                remarks.append(f"its manifest names {called!r} in {role} by the hash {digits!r}, which is not there")
    files = {
        inside: (path, source.files[path].nbytes, source.files[path].executable)
        for inside, path in layout.files.get(run, {}).items()
    }
    if files:
        parts["outputs"]["files"] = folder_part(files)
    facts, odd = _facts(layout, run, said)
    return PlannedRun(name, where or run, parts["inputs"], parts["outputs"], facts, hints, (*remarks, *odd))


def _facts(layout: _Layout, run: str, said: dict[str, Any]) -> tuple[Facts, list[str]]:
    folders = layout.views.get(run, {})
    run_type = text(said.get("run_type")) or folders.get("by_type", "experiment")
    odd = [f"its run type {run_type!r} is none of MLtrack's; it becomes experiment"] * (run_type not in list(RunType))
    locations = said.get("storage_locations")
    located = [
        match[1]
        for place in (locations if isinstance(locations, list) else ())
        if isinstance(place, str) and (match := _RUN.fullmatch(place))
    ]
    views = tuple(dict.fromkeys(_VIEWS[mode] for mode in (*located, *folders))) or ("by_project",)
    facts = Facts(
        project=text(said.get("project")) or folders.get("by_project", "default"),
        run_type="experiment" if odd else run_type,
        tags=texts(said.get("tags")),
        metrics=numbers(said.get("metrics")),
        created_at=utc(said.get("created_at")),
        model=folders.get("by_model", ""),
        views=views,
        notes=without_empty(
            {"migrated_from": {"layout": KIND, "key": layout.manifests.get(run, run)}, "manifest": said}
        ),
    )
    return facts, odd


def _unclaimed(source: Source, path: str, digits: str, prefix: str) -> NamedValue:
    about = path.rsplit("/", 1)[0] + "/metadata.json"
    called = "data"
    if about in source.files:
        try:
            called = text(mapping(json_document(source.read(about), about), about).get("name")) or called
        except Refused:
            called = "data"
    part = FilePart(path, form_of(path), source.files[path].nbytes)
    name = "mltrack/" + segment(f"{prefix}{called}-{digits[:8]}")
    return NamedValue(name, path, part, remarks=("no run refers to it",))
