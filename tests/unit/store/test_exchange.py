"""Two folders take each other's names, in one step where the file system can."""

from __future__ import annotations

from pathlib import Path

import pytest

from smalti.store import commit


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    return tmp_path / "one", tmp_path / "other"


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_folders_are_exchanged(folders: tuple[Path, Path]) -> None:
    commit.exchange_folders(*folders)
    assert [names(folder) for folder in folders] == [["other"], ["one"]]


def test_folders_are_exchanged_where_that_takes_three_steps(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "_exchanged_in_one_step", lambda *_: False)
    commit.exchange_folders(*folders)
    assert [names(folder) for folder in folders] == [["other"], ["one"]]
    assert len(list(folders[0].parent.iterdir())) == 2


def test_a_folder_that_is_not_there_cannot_be_exchanged(folders: tuple[Path, Path]) -> None:
    with pytest.raises(FileNotFoundError):
        commit.exchange_folders(folders[0], folders[1].with_name("third"))
    assert [names(folder) for folder in folders] == [["one"], ["other"]]
