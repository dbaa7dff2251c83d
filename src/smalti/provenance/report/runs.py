"""What a run says of itself, as pieces of a page, and the commands that get its results or run it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from smalti.digest import is_address
from smalti.errors import SmaltiError
from smalti.outputs.page import block, code, fields, folded_away, link, section, shown_json, text
from smalti.provenance.report.previews import curves_of

if TYPE_CHECKING:
    from smalti.store import Manifest, Store

_MOST_PATCH_NBYTES = 200_000
_COMMIT = ("commit", "git_commit", "revision", "sha")
_PATCH = ("diff", "patch", "dirty_diff", "difference")
_CHECKS = ("contract", "contracts", "checks", "violations")
_REPOSITORY = ("repository", "remote", "url", "origin")


def run_chips(run: Manifest) -> str:
    """Return status, type, times and tags in one line."""
    chips = []
    if run.status:
        tone = {"finished": "good", "failed": "bad"}.get(run.status, "")
        chips.append(f'<span class="chip {tone}">{text(run.status)}</span>')
    said = (run.run_type, run.project, *(f"{key}: {value}" for key, value in run.tags.items()))
    chips += [f'<span class="chip">{text(one, 200)}</span>' for one in said if one]
    return "".join(chips)


def run_error(run: Manifest) -> str:
    """Return why a run failed, in a box."""
    return f'<div class="box"><span class="bad">failed</span> {text(run.error)}</div>' if run.error else ""


def run_pieces(store: Store, run: Manifest) -> list[str]:
    """Return metrics, parameters, seeds, code, environment, times, links and notes of a run."""
    numbers = {name: value for name, value in run.metrics.items() if not isinstance(value, list | dict)}
    others = {name: value for name, value in run.metrics.items() if isinstance(value, list | dict)}
    curves = "".join(curves_of(run.metrics))
    undrawn = {name: value for name, value in others.items() if not curves_of({name: value})}
    return [
        section("Metrics", _said(numbers), f'<div class="pictures">{curves}</div>' if curves else "", _said(undrawn)),
        section("Parameters", _said(run.parameters)),
        section("Contract and checks", _checks(run.notes)),
        section(
            "Code, machine and times",
            fields({"started": text(run.started_at), "ended": text(run.ended_at), "recorded": text(run.created_at)}),
            _headed("code", _said(run.code)),
            _patch(store, run.code),
            _headed("seeds", _said(run.seeds)),
            _headed("environment", _said(run.environment)),
            _headed("the same run elsewhere", fields({name: link(url) for name, url in run.links.items()})),
        ),
        section("Notes of the run", _notes(run.notes)),
    ]


def how_to_repeat(store: Store, address: str | None, run: Manifest | None) -> str:
    """Return the commands that get a value or the outputs of a run by digest, and what it takes to run it again."""
    wanted = [address] if address else list((run.outputs if run else {}).values())[:10]
    place = shlex.quote(store.place)
    lines = ["# what it is, by digest: from the store itself, or into a store of one's own"]
    for one in wanted:
        lines.append(f"smalti get {one} --store {place}")
    if wanted:
        lines.append(f"smalti pull {place} {' '.join(wanted)}")
    if run is None:
        return block("\n".join(lines))
    commit, repository = _first(run.code, _COMMIT), _first(run.code, _REPOSITORY)
    patch = _first(run.code, _PATCH)
    lines.append(f"\n# the run {_one_line(run.run)}")
    if repository:
        lines.append(f"git clone {shlex.quote(_one_line(repository))} code && cd code")
    if commit:
        lines.append(f"git checkout {shlex.quote(_one_line(commit))}")
    if is_address(patch):
        lines += [f"smalti get {patch} --store {place} -o changes.patch", "git apply changes.patch"]
    for name, one in list(run.inputs.items())[:20]:
        lines.append(f"smalti get {one} --store {place}  # input {_one_line(name)}")
    if run.parameters or run.seeds:
        said = json.dumps({**run.parameters, **({"seeds": dict(run.seeds)} if run.seeds else {})}, ensure_ascii=False)
        lines.append(f"# with the parameters {said}")
    if packages := run.environment.get("packages"):
        lines.append("# with these packages, one a line in requirements.txt:")
        lines += [f"#   {_one_line(one)}" for one in _packages(packages)[:200]]
    if not commit:
        lines.append("# the run does not say which version of the code it was made with")
    return block("\n".join(lines), 40_000)


def _packages(said: Any) -> list[str]:
    if isinstance(said, Mapping):
        return [f"{name}=={version}" for name, version in said.items()]
    return [str(one) for one in said] if isinstance(said, list) else [str(said)]


def _first(said: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((value for name in names if isinstance(value := said.get(name), str) and value), "")


def _one_line(given: str) -> str:
    return " ".join(given.split())


def _said(said: Mapping[str, Any]) -> str:
    return fields({name: shown_json(value) for name, value in said.items()})


def _headed(head: str, content: str) -> str:
    return f"<h3>{text(head)}</h3>{content}" if content else ""


def _checks(notes: Any) -> str:
    """Return what the notes of a run say of contracts and checks."""
    if not isinstance(notes, Mapping):
        return ""
    return _said({name: value for name, value in notes.items() if name in _CHECKS})


def _notes(notes: Any) -> str:
    """Return what else the run noted."""
    if isinstance(notes, Mapping):
        return _said({name: value for name, value in notes.items() if name not in _CHECKS})
    return shown_json(notes) if notes is not None else ""


def _patch(store: Store, said: Mapping[str, Any]) -> str:
    """Return what differed from the commit; its text where the store has it."""
    patch = _first(said, _PATCH)
    if not patch:
        return ""
    if not is_address(patch):
        return folded_away("what differed from the commit", block(patch, _MOST_PATCH_NBYTES))
    try:
        record = store.record(patch)
        if record.nbytes > _MOST_PATCH_NBYTES:
            return f"<p>What differed from the commit is {code(patch)}.</p>"
        value = store.get(patch)
    except SmaltiError as error:
        return f'<p class="bad">What differed from the commit is not here any more: {text(error)}</p>'
    written = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return folded_away("what differed from the commit", block(written, _MOST_PATCH_NBYTES))
