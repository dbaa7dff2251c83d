"""``python -m benchmarks.ptychography``: reconstruct, evaluate, and write docs/benchmarks/ptychography.md."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import page
from benchmarks.page import Page
from benchmarks.ptychography.about import ABOUT
from benchmarks.ptychography.cases import CASES, Workplace


def main(arguments: list[str] | None = None) -> None:
    parser = page.parser("ptychography", CASES)
    parser.set_defaults(rounds=3)
    parser.add_argument("--peers-venv", type=Path, help="a virtual environment that holds pty-chi: its --peers")
    parser.add_argument("--pictures", type=Path, help="what it looks like (default: a folder of the results)")
    given = parser.parse_args(arguments)
    if given.peers_venv:
        given.peers = given.peers_venv.absolute() / "bin" / "python"
    with tempfile.TemporaryDirectory(prefix="bench-ptycho-") as folder:
        page.write(page_of(Path(folder), given.pictures or given.results / "pictures"), given)


def page_of(folder: Path, pictures: Path) -> Page:
    """Return the page whose cases share the scans that they made in ``folder``."""

    def measure(case: str) -> page.Measure:
        return lambda peers, rounds: CASES[case](Workplace(folder / "store", folder, pictures, peers, rounds))

    return Page(
        name="ptychography",
        title="Ptychography: what is reached, and beside whom",
        about=ABOUT,
        cases={case: measure(case) for case in CASES},
        versions=("mlx", "numpy", "scikit-image"),
        target="ptycho",
    )


if __name__ == "__main__":
    main()
