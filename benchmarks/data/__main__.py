"""``python -m benchmarks.data``: the data module beside its peers; writes docs/benchmarks/data.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.data import accuracy, bert_step, folders, loaders, templates
from benchmarks.line import Line
from benchmarks.page import Measure, Page, main

ABOUT = """\
Each ratio is of one run in which the two take turns, each in a process of its own with one thread a library: medians, \
or where it says so the best of several. Peers run in the environment of `make .venv/peers/installed`, each as \
its manual says is quickest. memcpy is a copy of the same bytes from the mapped file into a buffer that is there."""


def _beside(case: str, measure: Callable[[Path, int], Sequence[Line]]) -> Measure:
    """Return what measures a case only where the peers are there."""
    return lambda peers, rounds: measure(peers, rounds) if peers else [Line(case, "", "not measured: no --peers")]


PAGE = Page(
    name="data",
    title="The data module: what is reached, and beside whom",
    about=ABOUT,
    cases={
        "loaders": loaders.measure,
        "templates": lambda _, rounds: templates.measure(rounds=rounds).lines(),
        "bert_step": _beside("bert_step", lambda peers, rounds: bert_step.measure(peers, 3 * rounds)),
        "accuracy": lambda peers, _: accuracy.measure(peers),
        "folders": _beside("folders", folders.measure),
    },
    versions=("mlx", "numpy", "pyarrow"),
    peers=("torch", "transformers", "mlx-data", "grain", "dvc", "scikit-learn"),
)

if __name__ == "__main__":
    main(PAGE)
