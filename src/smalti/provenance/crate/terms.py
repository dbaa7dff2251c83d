"""Terms of the Workflow Run Crate profiles, and how what a store knows is spelled in them."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smalti.store import Step

RO_CRATE = "1.1"  # what the profiles of version 0.5 extend
PROCESS = ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5")
WITH_STEPS = (
    PROCESS,
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/provenance/0.5", "Provenance Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
)
WORKFLOW_RO_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
TERMS = {  # of the profiles, spelled out so that a reader need not fetch another context
    "environment": "https://w3id.org/ro/terms/workflow-run#environment",
    "sha256": "https://w3id.org/ro/terms/workflow-run#sha256",
}
STATUS = {
    "finished": "http://schema.org/CompletedActionStatus",
    "failed": "http://schema.org/FailedActionStatus",
    "stopped": "http://schema.org/FailedActionStatus",
    "running": "http://schema.org/ActiveActionStatus",
}
_FORMATS = {
    ".arrow": "application/vnd.apache.arrow.file",
    ".h5": "application/x-hdf5",
    ".json": "application/json",
    ".npy": "application/x-npy",
    ".npz": "application/zip",
    ".safetensors": "application/x-safetensors",
}


def compact(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with a value in place of each list of one, as RO-Crate 1.1 recommends."""
    graph = [
        {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in entity.items()}
        for entity in document["@graph"]
    ]
    return {**document, "@graph": sorted(graph, key=lambda entity: str(entity["@id"]))}


def encoding_format(path: str) -> str:
    suffix = path[path.rfind(".") :].lower() if "." in path.rsplit("/", 1)[-1] else ""
    return _FORMATS.get(suffix) or mimetypes.guess_type(f"file{suffix}")[0] or "application/octet-stream"


def ended(step: Step) -> str:
    """Return when a step ended, where its start and its duration are known."""
    from datetime import datetime, timedelta

    if not step.started_at or step.seconds is None:
        return ""
    try:
        began = datetime.fromisoformat(step.started_at)
        return (began + timedelta(seconds=step.seconds)).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, TypeError):
        return ""


def own_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("smalti")
    except PackageNotFoundError:
        return "unknown"
