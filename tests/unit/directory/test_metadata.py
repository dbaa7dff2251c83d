"""The file _meta.yaml: what is read from those of others, what is kept, what is refused."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.directory import (
    ConfigWarning,
    Directory,
    MetadataParseError,
    MetadataValidationError,
    Namespace,
    read_meta,
    write_meta,
)
from smalti.directory.metadata import META
from smalti.errors import Refused

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)


@given(config=st.dictionaries(TEXTS, VALUES))
@settings(max_examples=100, deadline=None)
def test_a_configuration_is_read_as_it_was_written(config: dict[str, Any], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("meta")
    write_meta(folder / META, config, "done")
    assert read_meta(folder) == {"config": config, "status": "done"}


@pytest.mark.parametrize(
    "text", ["1e-05", "yes", "on", "2024-03-20", "12:30", "0x1f", "1_000", "null", "~", "", "<<", "=", "."]
)
def test_text_that_looks_like_something_else_stays_text_for_every_reader(text: str, tmp_path: Path) -> None:
    write_meta(tmp_path / META, {"text": text}, "done")
    assert read_meta(tmp_path).config.text == text
    assert yaml.safe_load((tmp_path / META).read_text())["config"]["text"] == text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1e-05", 1e-05), ("1E3", 1000.0), ("1.0e-05", 1e-05), (".inf", float("inf")), ("-.5", -0.5), ("7", 7),
        ("0o17", 15), ("0x1F", 31), ("010", 10), ("yes", "yes"), ("off", "off"), ("true", True),
        ("2024-03-20", "2024-03-20"),
        ("12:30:45", "12:30:45"), ("1_000", "1_000"), ("null", None), ("!!binary aGk=", b"hi"),
    ],
)  # fmt: skip
def test_what_another_program_wrote_is_read_as_yaml_1_2(written: str, read: object, tmp_path: Path) -> None:
    (tmp_path / META).write_text(f"config:\n  value: {written}\nstatus: done\n")
    value = read_meta(tmp_path).config.value
    assert (value, type(value)) == (read, type(read))


def test_arrays_numbers_of_numpy_paths_tuples_and_classes_are_stored_as_plain_values() -> None:
    config = {
        "a": np.arange(4).reshape(2, 2),
        "b": np.float32(0.5),
        "c": Path("x"),
        "d": (1, 2),
        "e": int,
        "f": np.True_,
    }
    directory = Directory("a", config)
    plain = {"type": "Directory", "a": [[0, 1], [2, 3]], "b": 0.5, "c": "x", "d": [1, 2], "e": "int", "f": True}
    assert yaml.safe_load((directory.path / META).read_text())["config"] == plain
    assert Directory("a", config).path == directory.path


def test_what_a_configuration_cannot_hold_is_a_type_error_and_nothing_is_written(root: Path) -> None:
    for value in (object(), lambda: 0, {1, 2}):
        with pytest.raises(TypeError, match="which a configuration cannot hold"):
            Directory("a", x=value)
    assert list(root.iterdir()) == []


def test_fields_of_others_are_kept() -> None:
    directory = Directory("a", x=1)
    path = directory.path / META
    path.write_text(path.read_text() + "reviewed_by: [Ada]\n")
    directory.y = 1
    assert read_meta(directory.path) == {
        "config": {"type": "Directory", "x": 1}, "status": "done", "modified": True, "reviewed_by": ["Ada"],
    }  # fmt: skip


def test_the_legacy_field_stands_for_the_configuration(root: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / META).write_text("spec: {x: 1}\nstatus: done\n")
    with pytest.warns(DeprecationWarning, match="legacy field 'spec'"):
        directory = Directory("a")
    assert directory.config.x == 1
    directory.y = 1
    assert yaml.safe_load((root / "a" / META).read_text()) == {"config": {"x": 1}, "status": "done", "modified": True}


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("{", MetadataParseError, "is not YAML"),
        ("- 1", MetadataValidationError, "must hold a mapping, not list"),
        ("", MetadataValidationError, "must hold a mapping, not NoneType"),
        ("status: done", MetadataValidationError, "Missing required 'config'"),
        ("config: 2", MetadataValidationError, "'config' must be a Namespace"),
        ("config: {}", MetadataValidationError, "Missing required 'status'"),
        ("config: {}\nstatus: 1", MetadataValidationError, "'status' must be a string"),
        ("config: {a: !!set {x}}\nstatus: done", MetadataValidationError, "cannot be used"),
        ("config: !!python/object/apply:os.system [ls]\nstatus: done", MetadataParseError, "is not YAML"),
    ],
)
def test_a_bad_file_is_a_value_error(content: str, error: type[Exception], message: str, tmp_path: Path) -> None:
    (tmp_path / META).write_text(content)
    with pytest.raises(error, match=message) as raised:
        read_meta(tmp_path, retries=0)
    assert isinstance(raised.value, Refused)


def test_a_file_that_another_program_is_just_writing_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / META).write_text("config: {")
    timer = threading.Timer(0.15, (tmp_path / META).write_text, ["config: {x: 1}\nstatus: done\n"])
    timer.start()
    assert read_meta(tmp_path).config.x == 1
    timer.join()


def test_references_to_references_do_not_fill_the_memory(tmp_path: Path) -> None:
    text = io.StringIO("")
    text.write("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
    for level in range(1, 12):
        text.write(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n")
    (tmp_path / META).write_text(f"config: {{}}\nstatus: done\n{text.getvalue()}")
    with pytest.raises(MetadataValidationError, match="more than 1000000 values"):
        read_meta(tmp_path, retries=0)


def test_assigning_a_configuration_warns_with_the_difference_and_says_so_in_the_status() -> None:
    directory = Directory("a", x=1)
    with pytest.warns(ConfigWarning, match="≠x: 2"):
        directory.config = {"x": 2}
    assert directory.meta == {"config": {"x": 2}, "status": "manually written"}


def test_what_is_read_may_be_changed_without_an_effect_on_what_is_read_next() -> None:
    directory = Directory("a", x=[1])
    directory.meta.config.x.append(2)
    directory.config["y"] = 1
    assert directory.config == Namespace(type="Directory", x=[1])


def test_a_write_marks_what_was_built_as_modified_and_deleting_does_not() -> None:
    directory = Directory("a", x=1)
    del directory.missing
    assert not directory.modified
    directory.extend("y", [1])
    assert directory.modified
    assert Directory("a").meta.modified is True


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config: {a: " + "[" * 100_000, "nested more than 500 deep"),
        ("- " * 100_000, "nested more than 500 deep"),
        (
            "a0: &a0 {k: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{f'*a{n - 1}, ' * 9}]}}\n" for n in range(1, 12)),
            "a mapping of more than",
        ),
    ],
)
def test_a_small_file_that_would_exhaust_the_parser_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / META).write_text(text)
    with pytest.raises(MetadataParseError, match=said):
        read_meta(tmp_path, retries=1)


def test_a_configuration_may_have_many_lists(tmp_path: Path) -> None:
    (tmp_path / META).write_text(f"config: {{a: [{'[1], ' * 1000}]}}\nstatus: done\n")
    assert read_meta(tmp_path).config.a == [[1]] * 1000


def test_a_warning_is_of_the_line_that_led_to_it() -> None:
    directory = Directory("d", x=1)
    with pytest.warns(ConfigWarning) as warned:
        directory.config = {"x": 2}
    assert [warning.filename for warning in warned] == [__file__]
