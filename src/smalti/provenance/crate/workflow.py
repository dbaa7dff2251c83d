"""The steps of a run as a document: what was carried out, in which order, and what each step was given and gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smalti.store import Manifest


def workflow_path(run: Manifest) -> str:
    """Return where in a crate the steps of a run are written."""
    return f"workflows/{run.run}.json"


def workflow_document(run: Manifest) -> dict[str, Any]:
    """Return the steps of a run and the names of what each read and wrote, without the values."""
    return {
        "run": run.run,
        "inputs": sorted(run.inputs),
        "outputs": sorted(run.outputs),
        "steps": [
            {"name": step.name, "inputs": sorted(step.inputs), "outputs": sorted(step.outputs)} for step in run.steps
        ],
    }
