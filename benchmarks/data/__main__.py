"""``python -m benchmarks.data``: the data module beside its peers; writes docs/benchmarks/data.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.line import Line
from benchmarks.page import Measure, Page, main

ABOUT = """\
Each ratio is of one run in which the two take turns, each in a process of its own with one thread a library: medians, \
or where it says so the best of several. Peers run in the environment of `make .venv/peers/installed`, each as \
its manual says is quickest. memcpy is a copy of the same bytes from the mapped file into a buffer that is there."""


def _loaders(peers: Path | None, rounds: int) -> Sequence[Line]:
    from benchmarks.data import loaders

    return loaders.measure(peers, rounds)


def _templates(peers: Path | None, rounds: int) -> Sequence[Line]:
    from benchmarks.data import templates

    return templates.measure(rounds=rounds).lines()


def _bert_step(peers: Path, rounds: int) -> Sequence[Line]:
    from benchmarks.data import bert_step

    return bert_step.measure(peers, 3 * rounds)


def _accuracy(peers: Path | None, rounds: int) -> Sequence[Line]:
    from benchmarks.data import accuracy

    return accuracy.measure(peers)


def _folders(peers: Path, rounds: int) -> Sequence[Line]:
    from benchmarks.data import folders

    return folders.measure(peers, rounds)


def _beside(case: str, measure: Callable[[Path, int], Sequence[Line]]) -> Measure:
    """Return what measures a case only where the peers are there."""
    return lambda peers, rounds: measure(peers, rounds) if peers else [Line(case, "", "not measured: no --peers")]


PAGE = Page(
    name="data",
    title="The data module: what is reached, and beside whom",
    about=ABOUT,
    cases={
        "loaders": _loaders,
        "templates": _templates,
        "bert_step": _beside("bert_step", _bert_step),
        "accuracy": _accuracy,
        "folders": _beside("folders", _folders),
    },
    versions=("mlx", "numpy", "pyarrow"),
    peers=("torch", "transformers", "mlx-data", "grain", "dvc", "scikit-learn"),
)

if __name__ == "__main__":
    main(PAGE)
