"""What each form of the constructor means, and what it refuses."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti.directory import ConfigWarning, Directory, delete_if_exists, enforce_config_match
from smalti.errors import NotFound, Refused


class Ones(Directory):
    """Some ones."""

    class Config:
        n: int

    def __init__(self, config: Any) -> None:
        self.ones = np.ones(config.n)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("a",), {"n": 3}),
        (("a", {"n": 3}), {}),
        (("a",), {"config": {"n": 3}}),
        (("@/a",), {"n": 3}),
        ((None,), {"n": 3}),
        ((None, {"n": 3}), {}),
        ((None,), {"config": {"n": 3}}),
    ],
)
def test_a_path_and_a_configuration_build_there_in_every_form(
    args: tuple[Any, ...], kwargs: dict[str, Any], root: Path
) -> None:
    built = Ones(*((root / "a" if arg is None else arg) for arg in args), **kwargs)
    assert built.path == root / "a"
    assert built.config == {"type": "Ones", "n": 3}
    assert built.ones[:].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((3,), {}), (("a", "b"), {}), (("a", {}, {}), {}), (({}, "a"), {}), (({"n": 1},), {"n": 1}), ((), {"config": 3})],
)
def test_any_other_form_is_a_type_error_that_lists_the_valid_ones(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match=r"Directory\(path: Path\)(.|\n)*relative to the root directory"):
        Directory(*args, **kwargs)


def test_an_empty_name_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="at least one character"):
        Directory("")


def test_a_name_is_relative_to_the_root_and_a_path_is_not(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Directory("a/b").path == root / "a" / "b"
    assert Directory("./a").path == tmp_path / "a"
    assert Directory(Path("a")).path == tmp_path / "a"
    assert Directory("~/a").path == Path("~/a").expanduser().resolve()
    assert Directory(str(tmp_path / "c")).path == tmp_path / "c"


def test_without_arguments_the_first_free_name_is_taken_and_nothing_is_written(root: Path) -> None:
    (root / "Directory_0000").mkdir()
    assert Directory().path == root / "Directory_0001"
    assert not Directory().path.exists()


def test_what_does_not_exist_is_empty_until_something_is_written(root: Path) -> None:
    directory = Directory("a")
    assert (len(directory), list(directory), directory.status, directory.meta.config) == (0, [], "done", None)
    assert not directory.path.exists()
    directory.deep.within.x = 1
    assert directory.path.joinpath("deep", "within", "x.h5").is_file()


def test_a_file_is_no_directory(root: Path) -> None:
    (root / "a").write_text("")
    for arguments in [("a",), ("a", {"n": 1})]:
        with pytest.raises(FileExistsError, match="is a file"):
            Directory(*arguments)


def test_a_class_that_needs_a_configuration_is_not_opened_where_nothing_is() -> None:
    with pytest.raises(FileNotFoundError, match="no configuration was given to build a Ones") as raised:
        Ones("missing")
    assert isinstance(raised.value, NotFound)


def test_another_configuration_than_the_stored_one_is_refused_with_the_difference() -> None:
    Ones("a", n=2)
    with pytest.raises(FileExistsError, match=r"incompatible config\)(.|\n)*passed=\['≠n: 3'\]") as raised:
        Ones("a", n=3)
    assert isinstance(raised.value, Refused)


def test_it_is_a_warning_when_that_is_asked_for_and_the_stored_one_holds() -> None:
    Ones("a", n=2)
    enforce_config_match(False)
    with pytest.warns(Warning, match="incompatible config"):
        opened = Ones("a", n=3)
    assert opened.config.n == 2
    assert len(opened.ones) == 2


def test_a_folder_without_a_stored_configuration_takes_any(root: Path) -> None:
    (root / "a").mkdir()
    directory = Directory("a", x=1)
    directory.y = 2
    assert Directory("a").config == {"type": "Directory", "x": 1}


def test_the_stored_type_decides_the_class() -> None:
    Ones("a", n=2)
    assert type(Directory("a")) is Ones
    assert type(Directory("a").parent["a"]) is Ones


def test_a_directory_of_another_type_is_refused() -> None:
    class Other(Directory):
        pass

    Ones("a", n=2)
    with pytest.raises(FileExistsError, match=r"is a Ones, not a .*Other"):
        Other("a")


def test_a_type_that_is_not_defined_is_made_up_and_said() -> None:
    Ones("a", n=2)
    meta = Directory("a").path / "_meta.yaml"
    meta.write_text(meta.read_text().replace("Ones", "Lost"))
    with pytest.warns(ConfigWarning, match="'Lost' is no class that is defined here"):
        lost = Directory("a")
    assert type(lost).__name__ == "Lost"
    assert lost.ones[:].tolist() == [1, 1]
    with pytest.raises(FileExistsError, match="is a Lost, not a"):
        Ones("a")


def test_a_type_never_imports_a_module(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil_module.py").write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    (root / "a").mkdir()
    (root / "a" / "_meta.yaml").write_text("config: {type: evil_module.Thing}\nstatus: done\n")
    with pytest.warns(ConfigWarning, match="import the module that defines it"):
        Directory("a")
    assert not (tmp_path / "ran").exists()


def test_a_type_is_found_by_its_module_and_name() -> None:
    full = f"{Ones.__module__}.Ones"
    assert type(Directory({"type": full, "n": 1})) is Ones
    assert type(Directory(type=Ones, n=1)) is Ones


def test_a_type_that_is_no_directory_is_refused() -> None:
    with pytest.raises(TypeError, match="int is not derived from Directory"):
        Directory(type=int, n=1)


@pytest.mark.parametrize("by_flag", [True, False])
def test_what_exists_is_deleted_first_when_that_is_asked_for(by_flag: bool) -> None:
    Ones("a", n=2).more = 1
    if by_flag:
        again = Ones("a", n=3, delete_if_exists=True)
    else:
        with delete_if_exists():
            again = Ones("a", n=3)
    assert (list(again), len(again.ones)) == (["ones"], 3)
    assert "delete_if_exists" not in again.config


def test_the_flag_is_never_stored_and_false_deletes_nothing() -> None:
    Ones("a", n=2, delete_if_exists=True).more = 1
    again = Ones("@/a", n=2, delete_if_exists=False)
    assert sorted(again) == ["more", "ones"]
    assert sorted(Ones("a", delete_if_exists=False)) == sorted(Ones("a", {})) == ["more", "ones"]
    assert Ones(n=7, delete_if_exists=True).config == {"type": "Ones", "n": 7}


def test_within_the_block_entries_are_not_deleted_by_looking_at_them() -> None:
    directory = Directory("a")
    directory.b.c = 1
    with delete_if_exists():
        assert directory.b.c[()] == 1


def test_the_root_and_the_current_folder_are_never_deleted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "here").mkdir()
    monkeypatch.chdir(root / "here")
    for place, what in [(root, "root directory"), (root / "here", "current folder")]:
        with pytest.raises(ValueError, match=f"not deleted: the {what} is in it"):
            Directory(place, delete_if_exists=True)
    assert (root / "here").is_dir()


def test_a_directory_is_the_same_after_copying_and_pickling() -> None:
    ones = Ones(n=2)
    for again in (copy.copy(ones), copy.deepcopy(ones), pickle.loads(pickle.dumps(ones))):
        assert (type(again), again.path, again.config) == (Ones, ones.path, ones.config)


def test_a_type_that_no_class_can_be_called_is_looked_at_all_the_same(root: Path) -> None:
    (root / "d").mkdir()
    (root / "d" / "_meta.yaml").write_text('config: {type: "a\\0b"}\nstatus: done\n')
    with pytest.warns(ConfigWarning, match="is no class that is defined here"):
        assert Directory("d").config.type == "a\0b"
