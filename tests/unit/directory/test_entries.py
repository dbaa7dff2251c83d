"""Values of every kind are read as they were written, under one name in one form."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from smalti.directory import ArrayFile, Directory
from smalti.errors import NotFound, Refused, Unavailable


@pytest.fixture
def directory() -> Directory:
    return Directory("d")


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """A file that is no array and no table."""
    path = tmp_path / "note.txt"
    path.write_text("a note")
    return path


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        3,
        True,
        1 + 2j,
        b"bytes",
        [1, 2],
        [[1.0]],
        (),
        np.float32(2),
        np.zeros((0, 3), "u2"),
        np.array([b"a", b"bc"]),
    ],
    ids=str,
)
def test_numbers_and_byte_strings_are_arrays(value: object, directory: Directory) -> None:
    directory.x = value
    expected = np.asarray(value)
    assert isinstance(directory.x, ArrayFile)
    assert (directory.x.shape, directory.x.dtype) == (expected.shape, expected.dtype)
    assert np.array_equal(directory["x"][()], expected)
    with h5py.File(directory.path / "x.h5") as file:
        assert np.array_equal(file["data"][()], expected)


@pytest.mark.parametrize("value", ["text", None, np.datetime64("2024-03-20"), ["a", "b"], [object()], {"a": "text"}])
def test_what_has_no_form_is_a_type_error_and_leaves_what_was_there(value: object, directory: Directory) -> None:
    directory.x = [1, 2]
    with pytest.raises(TypeError):
        directory.x = value
    assert directory.x[:].tolist() == [1, 2]
    with pytest.raises(TypeError):
        Directory("new").x = value
    assert not Directory("new").path.exists()


def test_a_file_is_copied_with_its_bytes(directory: Directory, note: Path) -> None:
    directory.note__txt = note
    note.unlink()
    assert directory.note__txt == directory["note.txt"] == directory.path / "note.txt"
    assert directory.note__txt.read_text() == "a note"
    directory.note__txt = directory.note__txt
    assert list(directory) == ["note.txt"]


def test_a_folder_is_copied_with_its_metadata_and_never_over_another(directory: Directory, tmp_path: Path) -> None:
    source = Directory(tmp_path / "source", x=1)
    source.y = [1]
    directory.copied = source.path
    assert directory.copied.config == source.config
    assert directory.copied.y[:].tolist() == [1]
    with pytest.raises(FileExistsError, match="exists; delete it first"):
        directory.copied = source.path


def test_a_folder_is_not_copied_into_itself(directory: Directory) -> None:
    directory.x = 1
    with pytest.raises(ValueError, match="cannot be copied into itself"):
        directory.within = directory.path
    with pytest.raises(ValueError, match="cannot be copied into itself"):
        directory.within = directory


def test_a_path_where_nothing_is_is_refused(directory: Directory, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist, so it cannot be copied") as raised:
        directory.x__txt = tmp_path / "missing.txt"
    assert isinstance(raised.value, NotFound)
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        directory.x__txt = Path("/dev/null")


def test_a_mapping_is_a_folder_of_its_items(directory: Directory, note: Path) -> None:
    directory.a = {"b": [1], "c": {"d.txt": note, "e": pd.DataFrame({"f": [1]})}, "g": Directory("empty")}
    assert sorted(directory.a) == ["b", "c", "g"]
    assert directory["a/c/d.txt"].read_text() == "a note"
    assert directory.a.c.e.f.tolist() == [1]
    directory.a = {"b": [2], "h": 3}
    assert sorted(directory.a) == ["b", "c", "g", "h"]
    assert directory.a.b[:].tolist() == [2]


def test_a_mapping_with_one_bad_value_writes_none(directory: Directory) -> None:
    with pytest.raises(TypeError):
        directory.a = {"b": [1], "c": {"d": "text"}}
    with pytest.raises(ValueError, match="is no key"):
        directory.a = {"b": [1], "../c": 1}
    assert not directory.path.exists()


def test_a_directory_is_copied_with_type_and_configuration_and_not_built_again(directory: Directory) -> None:
    class Built(Directory):
        count = 0

        def __init__(self, n: int = 1) -> None:
            Built.count += 1
            self.x = n

    built = Built(n=4)
    directory.copy = built
    assert (type(directory.copy), directory.copy.config.n, directory.copy.status) == (Built, 4, "done")
    assert Built.count == 1
    with pytest.raises(FileExistsError, match="incompatible config"):
        directory.copy = Built(n=5)
    directory.copy = built
    assert directory.copy.x[()] == 4


def test_the_last_write_wins_whatever_form_it_has(directory: Directory, note: Path) -> None:
    frame = pd.DataFrame({"a": [1]})
    for value, files in [
        (1, ["x.h5"]),
        (frame, ["x.csv"]),
        (2, ["x.h5"]),
        (note, ["x"]),
        (frame, ["x.csv"]),
        (note, ["x"]),
        (3, ["x.h5"]),
        ({"y": 1}, ["x"]),
    ]:
        directory.x = value
        assert sorted(path.name for path in directory.path.iterdir() if path.name[0] != "_") == files
        assert list(directory) == ["x"]
    assert directory.x.y[()] == 1


def test_a_folder_of_entries_is_not_replaced_by_a_value(directory: Directory) -> None:
    directory.x.y = 1
    with pytest.raises(FileExistsError, match=r"not empty; delete it first: del directory\['x'\]"):
        directory.x = 2
    assert directory.x.y[()] == 1
    del directory.x
    directory.x = 2
    assert directory.x[()] == 2


def test_deleting_removes_every_file_of_a_key_and_is_silent_where_there_is_none(
    directory: Directory, note: Path
) -> None:
    directory.a, directory.b, directory.c__txt, directory.d = 1, pd.DataFrame({"a": [1]}), note, {"e": 1}
    for key in ["a", "b", "c.txt", "d", "missing"]:
        del directory[key]
    del directory.missing
    assert [path.name for path in directory.path.iterdir()] == ["_meta.yaml"]


def test_deleting_a_link_leaves_what_it_leads_to(directory: Directory, tmp_path: Path) -> None:
    outside = Directory(tmp_path / "outside")
    outside.x = 1
    directory.y = 1
    (directory.path / "link").symlink_to(outside.path)
    assert directory.link.x[()] == 1
    del directory.link
    assert outside.x[()] == 1
    assert list(directory) == ["y"]


@pytest.mark.parametrize("key", ["../evil", "a/../../evil", "/evil", "", ".", "..", "a//b", "a/./b", "a\0b"])
def test_no_key_leads_out_of_the_directory(key: str, directory: Directory, tmp_path: Path) -> None:
    directory.a = {"b": 1}
    for act in (
        lambda: directory[key],
        lambda: directory.__setitem__(key, 1),
        lambda: directory.__delitem__(key),
        lambda: directory.extend(key, [1]),
        lambda: directory.__setitem__(key, {"x": 1}),
        lambda: directory.update({key: 1}),
    ):
        with pytest.raises(ValueError, match="is no key of"):
            act()
    assert list(tmp_path.rglob("*evil*")) == []


def test_nothing_is_written_through_a_link_that_leads_out(directory: Directory, tmp_path: Path) -> None:
    directory.y = 1
    (tmp_path / "outside").mkdir()
    (directory.path / "link").symlink_to(tmp_path / "outside")
    for value in (1, {"x": 1}, Directory("other")):
        with pytest.raises(ValueError, match="is a link that leads out"):
            directory["link/x"] = value
    assert list((tmp_path / "outside").iterdir()) == []


def test_the_files_of_the_directory_itself_are_no_entries(directory: Directory, note: Path) -> None:
    directory.x = 1
    with pytest.raises(Refused, match="kept by the directory itself"):
        directory["_meta.yaml"] = note
    directory["_private"] = 2
    assert list(directory) == ["x"]
    assert directory["_private"][()] == directory._private[()] == 2


def test_an_array_under_a_key_with_an_extension_is_refused(directory: Directory) -> None:
    with pytest.raises(ValueError, match="take a key without a dot"):
        directory["a.b"] = 1
    with pytest.raises(TypeError, match="the key 3 is no text"):
        directory[3] = 1


def test_an_index_into_what_is_not_there_names_the_missing_file(directory: Directory) -> None:
    for index in (0, slice(None), (), ...):
        with pytest.raises(FileNotFoundError, match=r"missing\.h5 does not exist"):
            directory.missing[index]
    with pytest.raises(FileNotFoundError, match=r"no array .*missing\.h5"):
        np.asarray(directory.missing)


def test_every_way_to_an_entry_leads_to_the_same(directory: Directory) -> None:
    directory["a/b"] = [1, 2]
    for array in (directory.a.b, directory["a"]["b"], directory["a/b"], directory / "a" / "b", directory / "a/b"):
        assert array[:].tolist() == [1, 2]
    assert (len(directory), "a" in directory, "b" in directory, 3 in directory) == (1, True, False, False)
    assert [(key, type(value)) for key, value in directory.items()] == [("a", Directory)]


def test_an_attribute_of_the_class_is_no_entry(directory: Directory) -> None:
    for name in ("size", "keys", "path", "meta", "from_df"):
        with pytest.raises(AttributeError, match=rf"for an entry write directory\['{name}'\]"):
            setattr(directory, name, 1)
    directory["size"] = 1
    assert directory["size"][()] == 1
    assert directory.size > 0


def test_what_tools_look_for_is_not_taken_for_an_entry(directory: Directory) -> None:
    for name in ("__fspath__", "_ipython_canary_method_should_not_exist_", "_repr_png_"):
        assert not hasattr(directory, name)


def test_names_are_completed(directory: Directory, note: Path) -> None:
    directory.images, directory.note__txt = 1, note
    assert {"images", "note__txt", "extend"} <= set(dir(directory))


def test_an_array_that_another_tool_wrote_is_read(directory: Directory) -> None:
    directory.path.mkdir()
    with h5py.File(directory.path / "x.h5", "w") as file:
        file["data"] = np.arange(5)
    assert directory.x[1:3].tolist() == [1, 2]
    assert not directory.modified


def test_a_failed_write_leaves_the_previous_value_and_no_litter(directory: Directory, note: Path) -> None:
    directory.note__txt = note
    before = sorted(path.name for path in directory.path.iterdir())
    unreadable = note.with_name("folder")
    unreadable.mkdir()
    (unreadable / "dangling").symlink_to("nowhere")
    with pytest.raises(Exception, match=r"dangling|nowhere|copying"):
        directory.folder = unreadable
    assert sorted(path.name for path in directory.path.iterdir()) == before


@pytest.fixture
def outside(tmp_path: Path) -> Directory:
    """A directory elsewhere, with one entry of each form."""
    other = Directory(tmp_path / "outside")
    other.a = [1.0]
    other.extend("a", [2.0])
    other.t = pd.DataFrame({"n": [1]})
    (other.path / "note.txt").write_text("a note")
    return other


@pytest.mark.parametrize(
    ("key", "value"), [("a", [3.0]), ("t", pd.DataFrame({"n": [2]})), ("note.txt", None), ("sub", {"a": [3.0]})]
)
def test_nothing_is_added_through_a_link_that_leads_out(
    directory: Directory, outside: Directory, note: Path, key: str, value: object
) -> None:
    directory.x = 1
    for name in ("a.h5", "t.csv", "note.txt"):
        (directory.path / name).symlink_to(outside.path / name)
    (directory.path / "sub").symlink_to(outside.path)
    before = {path: path.read_bytes() for path in outside.path.iterdir()}
    with pytest.raises(Refused, match="is a link that leads out of"):
        directory.extend(key, note if value is None else value)
    if key == "sub":
        with pytest.raises(Refused, match="is a link that leads out of"):
            directory[key] = value
    assert before == {path: path.read_bytes() for path in outside.path.iterdir()}


def test_a_link_that_leads_to_itself_is_no_folder_and_hides_nothing(directory: Directory) -> None:
    directory.x = 1
    (directory.path / "loop").symlink_to("loop")
    with pytest.raises(Unavailable, match="loop"):
        directory["loop/y"] = 1
    assert "loop" in directory._repr_html_()


@pytest.mark.parametrize("value", [1, pd.DataFrame({"a": [1]})])
def test_nothing_is_written_where_an_array_or_table_would_hide_it(directory: Directory, value: object) -> None:
    directory.x = value
    for write in (directory.__setitem__, directory.extend):
        with pytest.raises(FileExistsError, match=r"so there is no 'x/y'; delete it first"):
            write("x/y", [1])
    assert not (directory.path / "x").exists()
    directory.x = {"y": [1]}
    assert directory["x/y"][0] == 1


def test_a_method_of_an_entry_that_is_missing_names_the_entry(directory: Directory) -> None:
    with pytest.raises(TypeError, match=r"there is no array .*lossses\.h5 whose method 'mean'"):
        directory.lossses.mean()


def test_a_name_that_no_file_can_have_is_refused(directory: Directory) -> None:
    for name in ("a" * 256, "é" * 128, f"x/{'a' * 256}/y"):
        for act in (lambda name=name: directory[name], lambda name=name: directory.__setitem__(name, 1)):
            with pytest.raises(Refused, match="more than 255 bytes"):
                act()
    directory["é" * 100] = 1
    assert directory["é" * 100][()] == 1


def test_a_configuration_is_a_mapping(directory: Directory) -> None:
    with pytest.raises(TypeError, match="a configuration is a mapping, not of type list"):
        directory.config = [1]
