"""The metadata of a crate, JSON-LD made with ``rocrate``: values, runs, steps, code, parameters, licences.

A run is a ``CreateAction``; with steps it is that of a workflow, each step with an action of its own.
Profiles: https://w3id.org/ro/wfrun/process/0.5 and https://w3id.org/ro/wfrun/provenance/0.5.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from smalti.errors import NotFound
from smalti.provenance.crate.layout import ABOUT, METADATA, PREVIEW, README, Layout, Placed
from smalti.provenance.crate.licences import licence_url
from smalti.provenance.crate.terms import (
    BIOSCHEMAS,
    PROCESS,
    RO_CRATE,
    STATUS,
    TERMS,
    WITH_STEPS,
    WORKFLOW_RO_CRATE,
    compact,
    encoding_format,
    ended,
    own_version,
)
from smalti.provenance.crate.workflow import workflow_path
from smalti.provenance.told import DIFF, PACKAGES, of_code, packages_in
from smalti.runs.run_manifest import is_lost

if TYPE_CHECKING:
    from rocrate.model.entity import Entity
    from rocrate.rocrate import ROCrate

    from smalti.provenance.crate.contents import Contents
    from smalti.provenance.crate.target import Written
    from smalti.store import Manifest, Step

_LOST = "its process was gone when this crate was written"
_PEOPLE = ("agent", "author", "user", "operator")  # where a run may say who ran it


@dataclass(frozen=True, slots=True)
class Described:
    """The metadata document of a crate, and the profile that it follows."""

    document: dict[str, Any]
    profile: str


def require_rocrate() -> None:
    """Raise ``NotFound`` where the library that writes crates is not installed."""
    try:
        import rocrate  # noqa: F401
    except ImportError as error:
        raise NotFound(
            "rocrate is not installed, and only it writes crates; install it: pip install 'smalti[crate]'."
        ) from error


def described_crate(
    place: str, contents: Contents, layout: Layout, written: Mapping[str, Written], texts: Mapping[str, bytes]
) -> Described:
    """Return the metadata of a crate.

    Args:
        place: the store, for values that are only named.
        layout: the values that are included.
        written: the file of each included object.
        texts: the other files of the crate.
    """
    return _Description(place, contents, layout, written, texts).described()


class _Description:
    def __init__(
        self, place: str, contents: Contents, layout: Layout, written: Mapping[str, Written], texts: Mapping[str, bytes]
    ) -> None:
        from rocrate.model.preview import Preview
        from rocrate.rocrate import ROCrate

        self._place, self._contents, self._layout, self._written, self._texts = place, contents, layout, written, texts
        self._crate: ROCrate = ROCrate(version=RO_CRATE)
        self._crate.metadata.extra_terms.update(TERMS)
        self._crate.add(Preview(self._crate))
        self._with_steps = [run for run in contents.runs if run.steps]
        self._runs = {run.run for run in contents.runs}
        self._values: dict[str, Entity] = {}

    def described(self) -> Described:
        for one in self._layout.placed.values():
            self._values[one.record.address] = self._data(one)
        for one in self._layout.placed.values():
            if not one.is_file:
                parts = list(dict.fromkeys(one.record.children.values()))
                if parts:
                    self._values[one.record.address]["hasPart"] = [self._values[a] for a in parts]
        for address in self._contents.facts:
            if address not in self._values:
                self._values[address] = self._named(address)
        self._other_files()
        actions = [action for run in self._contents.runs for action in self._run(run)]
        self._root(actions)
        profile = "Provenance Run Crate" if self._with_steps else "Process Run Crate"
        return Described(compact(self._crate.metadata.generate()), profile)

    def _root(self, actions: list[Entity]) -> None:
        root, contents = self._crate.root_dataset, self._contents
        subject = contents.subject
        title = subject.run.run if subject.run else subject.reference
        kind = "run" if subject.run else "value"
        moments = [moment for run in contents.runs for moment in (run.ended_at, run.created_at) if moment]
        root["name"] = f"{title}: a {kind} with what it was made from"
        root["description"] = (
            f"The {kind} {title}, {len(contents.runs)} runs that led to it, and the {len(contents.facts)} values that "
            f"they read and wrote, {sum(a in self._layout.placed for a in contents.facts)} of them included."
        )
        root["datePublished"] = max(moments, default="1970-01-01T00:00:00.000+00:00")
        profiles = WITH_STEPS if self._with_steps else (PROCESS,)
        root["conformsTo"] = [
            self._thing(url, "CreativeWork", name=name, version=version) for url, name, version in profiles
        ]
        licences = {licence for facts in contents.facts.values() if (licence := facts.licence)}
        if len(licences) == 1:
            root["license"] = self._licence(licences.pop())
        else:
            said = "each value under its own terms, as stated for it" if licences else "nobody has stated any terms"
            root["license"] = self._thing("#terms", "CreativeWork", name=said, description=f"Licence: {said}.")
        if actions:
            root["mentions"] = actions
        if people := list(dict.fromkeys(person for run in contents.runs if (person := self._agent(run)))):
            root["author"] = people
        if self._with_steps:
            root["mainEntity"] = self._crate.get(workflow_path(self._with_steps[0]))
            self._crate.metadata["conformsTo"] = [{"@id": self._crate.metadata.profile}, {"@id": WORKFLOW_RO_CRATE}]
        elif subject.address in self._layout.placed:
            root["mainEntity"] = self._values[subject.address]

    def _data(self, one: Placed) -> Entity:
        """Return the file or folder of an included object."""
        facts = self._contents.facts.get(one.record.address)
        said: dict[str, Any] = {"name": one.name, "identifier": one.record.address}
        what = facts.what if facts else str(one.record.header.get("type") or one.record.kind)
        said["description"] = f"{what}, {one.record.nbytes} bytes of content"
        if facts and facts.licence:
            said["license"] = self._licence(facts.licence)
        if facts and facts.source.startswith(("https://", "http://")):
            said["isBasedOn"] = facts.source
        elif facts and facts.source:
            said["description"] += f"; source: {facts.source}"
        if not one.is_file:
            return self._crate.add_dataset(dest_path=one.path, properties=said)
        written = self._written[one.record.address]
        said |= {
            "contentSize": str(written.nbytes),
            "encodingFormat": encoding_format(one.path),
            "sha256": written.sha256,
        }
        return self._crate.add_file(dest_path=one.path, properties=said)

    def _named(self, address: str) -> Entity:
        """Return what stands for a value that is not in the crate."""
        facts = self._contents.facts[address]
        where = facts.gone or f"not in this crate; get it: smalti get {address} --store {self._place}"
        said: dict[str, Any] = {
            "name": self._contents.called.get(address) or facts.filename or address[7:19],
            "identifier": address,
            "description": f"{facts.what}, {where}" if facts.what else where,
        }
        if facts.nbytes is not None:
            said["contentSize"] = str(facts.nbytes)
        if self._place.startswith(("https://", "http://", "s3://")):
            said["url"] = self._place
        if facts.file_sha256:
            said["sha256"] = facts.file_sha256
        if facts.licence:
            said["license"] = self._licence(facts.licence)
        return self._thing(f"#{address}", "CreativeWork", **said)

    def _other_files(self) -> None:
        workflows = {workflow_path(run) for run in self._with_steps}
        for path, content in self._texts.items():
            if path in (PREVIEW, METADATA) or path in workflows:
                continue
            name = "what brings the values back by digest" if path == ABOUT else path
            said: dict[str, Any] = {"name": name, "encodingFormat": "application/json"}
            if path == README:
                said = {"name": "how to use this crate", "encodingFormat": "text/markdown", "about": {"@id": "./"}}
            self._crate.add_file(dest_path=path, properties={**said, "contentSize": str(len(content))})

    def _run(self, run: Manifest) -> list[Entity]:
        """Return the actions of a run: its own, and those of its steps."""
        instrument = self._workflow(run) if run.steps else self._code(run)
        action = self._action(f"#run/{quote(run.run)}", run, run.whole, instrument)
        action["object"] = [*action["object"], *self._said(run, "parameters"), *self._said(run, "seeds")]
        action["result"] = [*action["result"], *self._said(run, "metrics")]
        said = {name: one for name, one in self._contents.environments[run.run].items() if name != PACKAGES}
        if environment := self._properties(run, "environment", said):
            action["environment"] = environment
        if run.parent:
            action["isPartOf"] = {"@id": f"#run/{quote(run.parent)}"} if run.parent in self._runs else run.parent
        for key in ("object", "result"):
            if not action[key]:
                del action[key]
        return [action, *(self._steps(run, action) if run.steps else ())]

    def _action(self, identifier: str, run: Manifest, part: Step, instrument: Entity) -> Entity:
        what = f"step {part.name} of the run {run.run}" if part.name else f"run {run.run}"
        kind = f", {run.run_type}" if run.run_type else ""
        said: dict[str, Any] = {
            "name": what,
            "description": f"{what}{kind}: {len(part.inputs)} values read, {len(part.outputs)} written",
            "instrument": instrument,
            "object": self._used(part.inputs.values()),
            "result": self._used(part.outputs.values()),
        }
        if part.started_at or run.started_at:
            said["startTime"] = part.started_at or run.started_at
        if until := ended(part) or ("" if part.name else run.ended_at):
            said["endTime"] = until
        lost = bool(is_lost(run))
        if status := STATUS.get("failed" if lost else run.status):
            said["actionStatus"] = status
            error = _LOST if lost else run.error
            if error and status == STATUS["failed"] and not part.name:
                said["error"] = error
        if agent := self._agent(run):
            said["agent"] = agent
        return self._thing(identifier, "CreateAction", **said)

    def _used(self, addresses: Iterable[str]) -> list[Entity]:
        return [self._values[address] for address in dict.fromkeys(addresses)]

    def _code(self, run: Manifest, step: str = "") -> Entity:
        """Return the code that a run, or a step of it, was carried out by."""
        code = {name: value for name, value in run.code.items() if isinstance(value, str) and value}
        version, repository = code.get("commit") or code.get("version") or "unknown", of_code(run, "repository")
        base = f"#code/{quote(version, safe='')}"
        if repository.startswith(("https://", "http://")):
            base = f"{quote(repository, safe=':/@')}#{quote(version, safe='')}"
        elif re.fullmatch("[0-9a-f]{40}", version):
            base = f"https://identifiers.org/swh:1:rev:{version}"  # of a git commit, wherever it is kept
        identifier = f"#tool/{quote(run.run)}/{quote(step, safe='')}" if step else base
        said: dict[str, Any] = {"name": step or code.get("name") or "the code of the run", "softwareVersion": version}
        if repository:
            said["url"] = repository
        if DIFF in code:
            said["description"] = f"with changes to that version: {code[DIFF]}"[:2000]
        if found := self._crate.get(identifier):
            return found
        if not step and (packages := packages_in(self._contents.environments[run.run])):
            said["softwareRequirements"] = [self._package(*one) for one in packages.items()]
        return self._thing(identifier, "SoftwareApplication", **said)

    def _package(self, name: str, version: str) -> Entity:
        identifier = f"#package/{quote(name, safe='')}/{quote(version, safe='')}"
        return self._thing(identifier, "SoftwareApplication", name=name, softwareVersion=version)

    def _workflow(self, run: Manifest) -> Entity:
        """Return the steps of a run as a workflow, with a tool for each step."""
        from rocrate.model.computationalworkflow import ComputationalWorkflow

        language = self._thing("#steps", "ComputerLanguage", name="Steps of a Smalti run, as JSON", version="1")
        path = workflow_path(run)
        tools, steps = [], []
        for number, step in enumerate(run.steps):
            tool = self._code(run, step.name)
            tools.append(tool)
            identifier = f"{path}#step-{number}"
            steps.append(self._thing(identifier, "HowToStep", name=step.name, position=str(number), workExample=tool))
        said: dict[str, Any] = {
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "name": f"the steps of {run.run}",
            "programmingLanguage": language,
            "version": str(run.code.get("commit") or run.code.get("version") or "unknown"),
            "encodingFormat": "application/json",
            "contentSize": str(len(self._texts[path])),
            "conformsTo": {"@id": BIOSCHEMAS},
            "hasPart": tools,
            "step": steps,
        }
        if repository := of_code(run, "repository"):
            said["url"] = repository
        if packages := packages_in(self._contents.environments[run.run]):
            said["softwareRequirements"] = [self._package(*one) for one in packages.items()]
        workflow = self._crate.add(ComputationalWorkflow(self._crate, dest_path=path, properties=said))
        for role, used in (("input", run.inputs), ("output", run.outputs)):
            placed = {name: address for name, address in used.items() if address in self._layout.placed}
            parameters = [self._parameter(run, role, name, address) for name, address in placed.items()]
            if parameters:
                workflow[role] = parameters
        return workflow

    def _parameter(self, run: Manifest, role: str, name: str, address: str) -> Entity:
        """Return an input or output of a workflow; the value that was used is an example of it."""
        value = self._values[address]
        parameter = self._thing(
            f"#parameter/{quote(run.run)}/{role}/{quote(name, safe='')}",
            "FormalParameter",
            name=name,
            additionalType="File" if self._layout.placed[address].is_file else "Dataset",
            workExample=value,
        )
        value.append_to("exampleOfWork", parameter)
        return parameter

    def _steps(self, run: Manifest, action: Entity) -> list[Entity]:
        """Return the actions of the steps, tied to the workflow as the profile has it."""
        actions, controls = [], []
        for number, step in enumerate(run.steps):
            one = self._action(f"#run/{quote(run.run)}/{number}", run, step, self._code(run, step.name))
            for key in ("object", "result"):
                if not one[key]:
                    del one[key]
            actions.append(one)
            controls.append(
                self._thing(
                    f"#control/{quote(run.run)}/{number}",
                    "ControlAction",
                    name=f"carry out {step.name}",
                    instrument={"@id": f"{workflow_path(run)}#step-{number}"},
                    object=one,
                )
            )
        engine = self._thing("#smalti", "SoftwareApplication", name="Smalti", softwareVersion=own_version())
        organised = self._thing(
            f"#organize/{quote(run.run)}",
            "OrganizeAction",
            name=f"the steps of the run {run.run}",
            instrument=engine,
            object=controls,
            result=action,
        )
        for key in ("startTime", "endTime"):
            if key in action:
                organised[key] = action[key]
        return actions

    def _said(self, run: Manifest, field: str) -> list[Entity]:
        """Return parameters, metrics or seeds of a run, each as a ``PropertyValue``."""
        return self._properties(run, field, getattr(run, field))

    def _properties(self, run: Manifest, field: str, said: Mapping[str, Any]) -> list[Entity]:
        return [
            self._thing(
                f"#{field}/{quote(run.run)}/{quote(name, safe='')}",
                "PropertyValue",
                name=name,
                value=value if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False),
            )
            for name, value in said.items()
        ]

    def _agent(self, run: Manifest) -> Entity | None:
        for said in (run.tags, run.environment):
            for key in _PEOPLE:
                if isinstance(name := said.get(key), str) and name:
                    return self._thing(f"#person/{quote(name, safe='')}", "Person", name=name)
        return None

    def _licence(self, said: str) -> Entity:
        url = licence_url(said)
        identifier = url or f"#licence/{quote(said[:200], safe='')}"
        return self._thing(identifier, "CreativeWork", name=said, description=f"Licence: {said}")

    def _thing(self, at: str, kind: str, **said: Any) -> Entity:
        """Return a contextual entity, made once."""
        from rocrate.model.contextentity import ContextEntity

        found = self._crate.get(at)
        if found is not None:
            return found
        return self._crate.add(ContextEntity(self._crate, at, properties={"@type": kind, **said}))
