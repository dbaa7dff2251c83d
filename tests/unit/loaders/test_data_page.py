"""The page about data is true: its examples run one after another as they stand."""

import re
from pathlib import Path
from typing import Any

import pytest

from smalti.datasets.fetchers import _registered

PAGE = Path(__file__).parents[3] / "docs" / "data.md"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    (tmp_path / "data" / "houses").mkdir(parents=True)
    rows = "".join(f"{20 + n},{'brick' if n % 2 else 'wood'},{1000.0 + n}\n" for n in range(24))
    (tmp_path / "data" / "houses" / "train.csv").write_text(f"area_m2,walls,price\n{rows}")
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"x": {n}}}\n' for n in range(100)))
    return tmp_path


def test_the_examples_run(root: Path) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    try:
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
            if place := re.match(r"# (data/\S+\.py)\n", block):
                (root / place[1]).parent.mkdir()
                (root / place[1]).write_text(block)
            else:
                exec(compile(block, str(PAGE), "exec"), names)
    finally:
        _registered.pop("spirals", None)
    assert names["spirals"].num_rows == 100
    assert names["converter"].transform(names["train"])[0].startswith("sepal length 5.1 cm, sepal width 3.5 cm")
    assert names["engine"].convert_data(names["train"], "petals_v1")[0] == "petal 1.4 cm"
    assert names["batch"]["input_ids"].shape == (8, 16)
    assert names["rest"] == 2, "one of three batches was read before"
    assert names["seen"] == 100
