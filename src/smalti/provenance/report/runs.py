"""What a run says of itself, as pieces of a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from smalti.digest import is_address
from smalti.errors import SmaltiError
from smalti.outputs.page import block, code, fields, folded_away, link, pictures, section, shown_json, table, text
from smalti.outputs.quantities import count, duration, moment, number
from smalti.provenance.report.previews import curves_of
from smalti.provenance.told import (
    CHECKS,
    DETAILS,
    DIFF,
    FILES,
    PACKAGES,
    SOURCE,
    arrived_in,
    checks_of,
    environments_of,
    of_code,
    packages_in,
)
from smalti.runs.run_manifest import is_lost

if TYPE_CHECKING:
    from smalti.store import Manifest, Store

_MOST_TEXT_NBYTES = 200_000
_DIGITS = 6
_PASSED, _FAILED = '<span class="good">passed</span>', '<span class="bad">failed</span>'


def run_chips(run: Manifest) -> str:
    """Return status, type and project in one line."""
    chips = []
    if run.status:
        lost = is_lost(run)
        tone = "bad" if lost else {"finished": "good", "failed": "bad"}.get(run.status, "")
        said = f"{run.status}, but its process is gone" if lost else run.status
        chips.append(f'<span class="chip {tone}">{text(said)}</span>')
    took = "" if run.duration_s is None else f"took {duration(run.duration_s)}"
    chips += [f'<span class="chip">{text(one, 200)}</span>' for one in (run.run_type, run.project, took) if one]
    return "".join(chips)


def run_error(run: Manifest) -> str:
    """Return why a run failed, in a box."""
    if not run.error:
        return ""
    return f'<div class="box">{_FAILED} {text(run.error, lines=True)}</div>'


def run_pieces(store: Store, run: Manifest) -> list[str]:
    """Return metrics, parameters, checks, code, environment, times, links and notes of a run."""
    others = {name: value for name, value in run.metrics.items() if isinstance(value, list | dict)}
    undrawn = {name: value for name, value in others.items() if not curves_of({name: value})}
    environment = environments_of(store, [run])[run.run]
    return [
        section("Metrics", _numbers(run), pictures(curves_of(run.metrics)), _said(undrawn)),
        section("Parameters", _said(run.parameters)),
        section("Contracts and checks", _checks(run), _files(run)),
        section(
            "Code, machine and times",
            fields({"run": code(run.run), **_times(run)}),
            _headed("the same run elsewhere", fields({name: link(url) for name, url in run.links.items()})),
            _headed("code", _said({name: said for name, said in run.code.items() if name not in (DIFF, SOURCE)})),
            _text_of(store, run, SOURCE, "the source of the function"),
            _text_of(store, run, DIFF, "what differed from the commit"),
            _headed("seeds", _said(run.seeds)),
            _headed("environment", _said({n: said for n, said in environment.items() if n not in (PACKAGES, DETAILS)})),
            _packages(environment),
            _headed("tags", _said(run.tags)),
        ),
        section("Notes of the run", _notes(run.notes)),
    ]


def _numbers(run: Manifest) -> str:
    """Return the metrics that are numbers or texts, below what they are of where their names say so."""
    names = sorted((step.name for step in run.steps), key=len, reverse=True)
    rows = []
    for name, value in run.metrics.items():
        if not isinstance(value, list | dict):
            of = next((step for step in names if name.startswith(f"{step}/")), "")
            said = number(value, _DIGITS) if isinstance(value, int | float) else str(value)
            rows.append((text(of, 200), text(name.removeprefix(f"{of}/") if of else name, 200), text(said)))
    before = ""
    for place, (of, name, said) in enumerate(rows):
        rows[place] = ("" if of == before else of, f"<b>{name}</b>", said)
        before = of
    return table(("of", "metric", "value"), rows)


def _times(run: Manifest) -> dict[str, str]:
    took = "" if run.duration_s is None else f' <span class="soft">after {duration(run.duration_s)}</span>'
    return {
        "started": text(moment(run.started_at)),
        "ended": text(moment(run.ended_at)) + took,
        "recorded": text(moment(run.created_at)),
        "part of": text(run.parent),
    }


def _checks(run: Manifest) -> str:
    checks = checks_of(run)
    if not checks and isinstance(run.notes, Mapping) and run.notes.get(CHECKS):
        return fields({"checks": shown_json(run.notes[CHECKS])})
    rows = [
        (
            f"<b>{text(one.name, 200)}</b>",
            text(one.of, 200),
            _PASSED if one.passed else f"{_FAILED} {text(one.severity)}",
            text(one.says, lines=True),
        )
        for one in checks
    ]
    return table(("check", "of", "result", "it says"), rows)


def _files(run: Manifest) -> str:
    rows = [
        (
            f"<b>{text(one.file, 200)}</b>",
            text(one.place, 200),
            f'<span class="good">accepted</span> {text(one.contract)}'
            if one.accepted
            else f'<span class="bad">rejected</span> {text(one.reason)}',
            text(one.licence, 200) or '<span class="soft">not stated</span>',
            text(one.source, 300),
        )
        for one in arrived_in(run)
    ]
    return _headed("files that arrived", table(("file", "from", "contract", "licence", "source"), rows))


def _packages(environment: Mapping[str, Any]) -> str:
    packages = packages_in(environment)
    listed = "\n".join(f"{name}=={version}" for name, version in packages.items())
    return folded_away(f"{count(len(packages), 'package')}", block(listed)) if packages else ""


def _said(said: Mapping[str, Any]) -> str:
    return fields({name: shown_json(value) for name, value in said.items() if value not in ("", None, [], {})})


def _headed(head: str, content: str) -> str:
    return f"<h3>{text(head)}</h3>{content}" if content else ""


def _notes(notes: Any) -> str:
    """Return what else the run noted."""
    if isinstance(notes, Mapping):
        return _said({name: value for name, value in notes.items() if name not in (CHECKS, FILES)})
    return shown_json(notes) if notes is not None else ""


def _text_of(store: Store, run: Manifest, said: str, head: str) -> str:
    """Return a text that tells of the code, such as what differed from the commit, where the store has it."""
    told = of_code(run, said)
    if not told:
        return ""
    if not is_address(told):
        return folded_away(head, block(told, _MOST_TEXT_NBYTES))
    try:
        if store.record(told).nbytes > _MOST_TEXT_NBYTES:
            return f"<p>{text(head)}: {code(told)}.</p>"
        value = store.get(told)
    except SmaltiError as error:
        return f'<p class="bad">{text(head)} is not here any more: {text(error)}</p>'
    written = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return folded_away(head, block(written, _MOST_TEXT_NBYTES))
