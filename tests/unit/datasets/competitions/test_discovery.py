"""Dataset classes found by folder and name; what does not run is named and the others load."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from smalti.datasets import CompetitionMetadata, DatasetRegistry, DatasetSpec
from smalti.datasets.competitions.discovery import candidates, discover
from smalti.errors import NotFound

SOUND = """
import pandas as pd
from smalti.datasets import KaggleDataset, TitanicDataset

class {name}Dataset(KaggleDataset):
    def _load_data(self):
        self._data = pd.read_csv(self.spec.dataset_path / f"{{self.split}}.csv")
    def _validate_data(self):
        pass
    def __getitem__(self, index):
        return {{"area": int(self._data.iloc[index]["Area"])}}

class Helper:
    pass
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_files_are_chosen_by_ending_or_by_folder(tmp_path: Path) -> None:
    for name in (
        "a_dataset.py",
        "other.py",
        "deep/b_dataset.py",
        "deep/datasets/c.py",
        "deep/datasets/__init__.py",
        "deep/datasets/notes.txt",
        ".venv/d_dataset.py",
        "__pycache__/e_dataset.py",
        ".f_dataset.py",
    ):
        write(tmp_path / name, "")
    found = {path.relative_to(tmp_path).as_posix() for path in candidates(tmp_path)}
    assert found == {"a_dataset.py", "deep/b_dataset.py", "deep/datasets/c.py"}
    assert [path.name for path in candidates(tmp_path / "deep" / "datasets")] == ["c.py"]


def test_only_dataset_classes_defined_in_the_file_are_found(tmp_path: Path) -> None:
    write(tmp_path / "house_sales_dataset.py", SOUND.format(name="HouseSales"))
    found = discover(tmp_path)
    assert list(found.classes) == ["house-sales"]
    assert found.failures == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def (:", "it does not run: line 1, SyntaxError"),
        (
            "x = 1\nimport no_such_module",
            "it does not run: line 2, ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("raise SystemExit(3)", "it does not run: line 1, SystemExit: 3"),
        ("1 / 0", "it does not run: line 1, ZeroDivisionError: division by zero"),
        (
            "from smalti.datasets import KaggleDataset\nclass HalfDataset(KaggleDataset):\n def _load_data(self): ...",
            "class HalfDataset does not define __getitem__, _validate_data",
        ),
        ("\0", "it does not run"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_reason_and_the_others_load(
    tmp_path: Path, text: str, reason: str
) -> None:
    broken = write(tmp_path / "datasets" / "a.py", text)
    write(tmp_path / "datasets" / "b.py", SOUND.format(name="Sound"))
    found = discover(tmp_path)
    assert list(found.classes) == ["sound"]
    assert [failure.path for failure in found.failures] == [broken]
    assert found.failures[0].reason.startswith(reason)
    assert "\n" not in str(found.failures[0])


def test_a_class_of_the_same_name_in_a_second_file_is_named(tmp_path: Path) -> None:
    for name in ("a_dataset.py", "b_dataset.py"):
        write(tmp_path / name, SOUND.format(name="Same"))
    found = discover(tmp_path)
    assert list(found.classes) == ["same"]
    assert str(found.failures[0]).startswith(str(tmp_path)[:20])
    assert "class SameDataset is in " in str(found.failures[0])


def test_a_file_is_run_again_when_it_changed(tmp_path: Path) -> None:
    write(tmp_path / "a_dataset.py", SOUND.format(name="First"))
    first = discover(tmp_path).classes["first"]
    assert discover(tmp_path).classes["first"] is first
    write(tmp_path / "a_dataset.py", SOUND.format(name="Second"))
    assert list(discover(tmp_path).classes) == ["second"]


def test_a_failed_file_leaves_no_module_behind(tmp_path: Path) -> None:
    before = set(sys.modules)
    write(tmp_path / "a_dataset.py", "1 / 0")
    discover(tmp_path)
    assert {name for name in set(sys.modules) - before if name.startswith("smalti_datasets_")} == set()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no folder .* to look for datasets in"):
        discover(tmp_path / "none")


def registered(root: Path, houses: Path) -> DatasetRegistry:
    registry = DatasetRegistry(root)
    spec = DatasetSpec("house-sales", houses, "regression", 30, 2)  # type: ignore[arg-type]
    registry.register_competition("house-sales", CompetitionMetadata("house-sales", "regression"), spec)  # type: ignore[arg-type]
    return registry


def test_a_registered_competition_is_read_by_the_class_in_the_datasets_folder_of_the_root(
    tmp_path: Path, houses: Path
) -> None:
    write(tmp_path / "data" / "datasets" / "house_sales.py", SOUND.format(name="HouseSales"))
    write(tmp_path / "data" / "datasets" / "broken.py", "1 / 0")
    data = registered(tmp_path, houses).create_dataset("House Sales", split="test")
    assert [sample["area"] for sample in data] == [90, 91, 92, 93, 94]


def test_without_a_class_the_broken_files_are_named(tmp_path: Path, houses: Path) -> None:
    write(tmp_path / "data" / "datasets" / "broken.py", "1 / 0")
    with pytest.raises(
        NotFound, match=r"no dataset class reads house-sales; the classes are for house-prices, titanic"
    ) as e:
        registered(tmp_path, houses).create_dataset("house-sales")
    assert "ZeroDivisionError" in str(e.value)


def test_a_relative_path_of_a_spec_lies_under_the_root(tmp_path: Path, houses: Path) -> None:
    write(tmp_path / "mine" / "house_sales_dataset.py", SOUND.format(name="HouseSales"))
    registry = registered(tmp_path, houses.relative_to(tmp_path))
    registry.discover(tmp_path / "mine")
    assert len(registry.create_dataset("house-sales")) == 30
