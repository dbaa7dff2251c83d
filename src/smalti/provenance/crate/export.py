"""A value or a run with its whole upstream, written as an RO-Crate of the Workflow Run Crate profiles.

Profiles: https://www.researchobject.org/workflow-run-crate/profiles/ (Process and Provenance Run Crate 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from smalti.provenance.crate.contents import Contents, contents_of
from smalti.provenance.crate.layout import (
    ABOUT,
    FORMAT,
    MANIFESTS,
    METADATA,
    PREVIEW,
    README,
    Layout,
    json_text,
    layout_of,
)
from smalti.provenance.crate.metadata import described_crate, require_rocrate
from smalti.provenance.crate.target import Written, new_target
from smalti.provenance.crate.workflow import workflow_document, workflow_path
from smalti.provenance.subject import subject_of

if TYPE_CHECKING:
    from smalti.store import Store
    from smalti.store.long_work import OnProgress

_README = """# An RO-Crate

`ro-crate-preview.html` tells what this is, what it was made from and how to make it again; any browser opens it.
`ro-crate-metadata.json` says the same to programs (https://w3id.org/ro/crate). The values lie in `data/` as ordinary
files; a file that several values share lies with the first of them.

`smalti crate import` brings the values and the runs into a store and checks every digest; `smalti.json` is for that.
"""

Data = Literal["include", "reference"]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        path: the folder or zip file.
        profile: ``Process Run Crate`` or ``Provenance Run Crate``.
        runs: how many runs it tells of.
        included: how many values lie in it.
        referenced: how many values it only names.
        nbytes: content of the included values.
    """

    path: Path
    profile: str
    runs: int
    included: int
    referenced: int
    nbytes: int


def export_crate(
    store: Store,
    ref_or_run: str,
    path: Path,
    *,
    data: Data = "include",
    depth: int | None = None,
    progress: OnProgress | None = None,
) -> Exported:
    """Write a value or a run, with everything that it was made from, as an RO-Crate.

    Equal stores give equal bytes. A value that was collected is named, as are those that runs on the way used for
    something else. An object that several trees share lies in the first of them.

    Args:
        path: a folder that does not exist, or a ``.zip`` file.
        data: ``include`` the values as ordinary files, or name them by digest and the store they are in.
        depth: go so many steps upstream at most; None: all.
        progress: called after each file of a value.

    Raises:
        NotFound: nothing answers to the reference, or ``rocrate`` is not installed.
        Ambiguous: several values do, or a value and a run.
        Refused: there is something at ``path``.
        Damaged: a value is not what was stored; nothing was written.
        Unavailable: the machine did not let it be written; nothing was left behind.
    """
    require_rocrate()
    subject = subject_of(store, ref_or_run)
    contents = contents_of(store, subject, depth)
    layout = layout_of(store, contents.at_hand if data == "include" else (), contents.called)
    with new_target(path) as target:
        files = list(layout.files())
        written: dict[str, Written] = {}
        done_nbytes = 0
        for one in layout.placed.values():
            if not one.is_file:
                target.add_folder(one.path)
        for done, one in enumerate(files, 1):
            written[one.record.address] = target.add_value(one.path, store, one.record.address)
            done_nbytes += one.record.nbytes
            if progress:
                from smalti.store.long_work import Progress

                progress(Progress(done, len(files), done_nbytes, layout.nbytes))
        texts = {**layout.texts, **_documents(contents), ABOUT: json_text(_about(store, contents, layout), sort=False)}
        texts |= {README: _README.encode(), PREVIEW: _preview(store, ref_or_run)}
        for name, content in texts.items():
            target.add(name, content)
        crate = described_crate(store.place, contents, layout, written, texts)
        target.add(METADATA, json_text(crate.document))
    return Exported(
        path=path,
        profile=crate.profile,
        runs=len(contents.runs),
        included=sum(address in layout.placed for address in contents.facts),
        referenced=sum(address not in layout.placed for address in contents.facts),
        nbytes=layout.nbytes,
    )


def _preview(store: Store, ref_or_run: str) -> bytes:
    from smalti.provenance.report.report import report_page

    return report_page(store, ref_or_run).encode()


def _documents(contents: Contents) -> dict[str, bytes]:
    """Return the manifests as the store keeps them, and the steps of each run that has some."""
    from smalti.store.manifests.manifest import dump

    manifests = {f"{MANIFESTS}/{run.run}.json": dump(run) for run in contents.runs}
    return manifests | {workflow_path(run): json_text(workflow_document(run)) for run in contents.runs if run.steps}


def _about(store: Store, contents: Contents, layout: Layout) -> dict[str, Any]:
    """Return what is needed to bring the values back by digest."""
    subject = contents.subject
    values: dict[str, Any] = {}
    for address, one in layout.placed.items():
        header = dict(one.record.plain_header)
        if one.record.kind == "json":
            del header["value"]  # its file says it
        values[address] = {"header": header, "path": one.path}
        if one.record.buffers:
            values[address]["buffers"] = [list(span) for span in one.record.buffers]
        if one.record.order:
            values[address]["order"] = list(one.record.order)
    referenced = {
        address: {
            "what": facts.what,
            "nbytes": facts.nbytes,
            "called": contents.called.get(address, ""),
            "gone": facts.gone,
        }
        for address, facts in contents.facts.items()
        if address not in layout.placed
    }
    return {
        "format": FORMAT,
        "subject": {"run": subject.run.run} if subject.run else {"value": subject.address},
        "store": store.place,
        "values": values,
        "referenced": referenced,
        "manifests": [f"{MANIFESTS}/{run.run}.json" for run in contents.runs],
    }
