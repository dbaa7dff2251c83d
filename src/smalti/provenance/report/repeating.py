"""The commands that get a value or the results of a run, and those that make them again."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from smalti.digest import is_address
from smalti.outputs.page import block
from smalti.provenance.told import DIFF, environments_of, of_code, packages_in

if TYPE_CHECKING:
    from smalti.store import Manifest, Store

_MOST_OUTPUTS, _MOST_INPUTS, _MOST_PACKAGES = 10, 20, 1000
_MOST_CHARACTERS = 60_000


def how_to_repeat(store: Store, address: str | None, run: Manifest | None) -> str:
    """Return the commands that get a value or the outputs of a run by digest, and what it takes to run it again."""
    wanted = [address] if address else list((run.outputs if run else {}).values())[:_MOST_OUTPUTS]
    place = shlex.quote(store.place)
    lines = ["# what it is, by digest: from the store itself, or into a store of one's own"]
    lines += [f"smalti get {one} --store {place}" for one in wanted]
    if wanted:
        lines.append(f"smalti pull {place} {' '.join(wanted)}")
    if run is not None:
        lines += ["", f"# the run {_one_line(run.run)}", *_of_run(store, run, place)]
    return block("\n".join(lines), _MOST_CHARACTERS)


def _of_run(store: Store, run: Manifest, place: str) -> list[str]:
    lines = []
    commit, repository, patch = (of_code(run, name) for name in ("commit", "repository", DIFF))
    if repository:
        lines.append(f"git clone {shlex.quote(_one_line(repository))} code && cd code")
    if commit:
        lines.append(f"git checkout {shlex.quote(_one_line(commit))}")
    else:
        lines.append("# the run does not say which version of the code it was made with")
    if is_address(patch):
        lines += [f"smalti get {patch} --store {place} -o changes.patch", "git apply changes.patch"]
    for name, one in list(run.inputs.items())[:_MOST_INPUTS]:
        lines.append(f"smalti get {one} --store {place}  # input {_one_line(name)}")
    if run.parameters or run.seeds:
        said = json.dumps({**run.parameters, **({"seeds": dict(run.seeds)} if run.seeds else {})}, ensure_ascii=False)
        lines.append(f"# with the parameters {said}")
    if packages := packages_in(environments_of(store, [run])[run.run]):
        lines.append("# with these packages, one a line in requirements.txt:")
        listed = [f"#   {_one_line(f'{name}=={version}')}" for name, version in packages.items()]
        lines += listed[:_MOST_PACKAGES]
    return lines


def _one_line(given: str) -> str:
    return " ".join(given.split())
