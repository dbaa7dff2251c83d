"""``python -m benchmarks.runs``: runs, lineage and directories beside their peers; writes docs/benchmarks/runs.md."""

from __future__ import annotations

from benchmarks.page import Page, main
from benchmarks.runs import capture, commit, directory, finding, stored

ABOUT = """\
Each figure is a median, or where it says so a mean; what is compared is measured in turns in one run. Peers run in \
the environment of `make .venv/run-peers/installed`: MLflow with SQLite and a folder of artifacts, W&B offline."""

PAGE = Page(
    name="runs",
    title="Runs, lineage and directories: what is reached, and beside whom",
    about=ABOUT,
    cases={
        "finding": finding.measure,
        "stored": stored.measure,
        "capture": capture.measure,
        "directory": directory.measure,
        "commit": commit.measure,
    },
    versions=("numpy", "h5py", "pyarrow"),
    peers=("mlflow", "wandb", "datamate", "dvc"),
)

if __name__ == "__main__":
    main(PAGE)
