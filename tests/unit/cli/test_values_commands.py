"""Laws of the command line: what goes in comes out, every refusal is one sentence, help answers at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from smalti import open_store
from smalti.cli import main

COMMANDS = [
    "init",
    "validate",
    "put",
    "get",
    "ls",
    "show",
    "pin",
    "forget",
    "gc",
    "fsck",
    "clean",
    "push",
    "pull",
    "verify",
    "diff",
    "tree",
    "stats",
    "doctor",
    "product",
]


Run = Callable[..., "Ended"]


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def smalti(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, in ``tmp_path`` as its root."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))

    def run(*arguments: str, code: int | None = 0) -> Ended:
        monkeypatch.setattr(sys, "argv", ["smalti", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        done = Ended(int(ended.value.code or 0), *capsys.readouterr())
        assert code in {None, done.code}, done.stderr
        return done

    return run


@pytest.fixture
def answer(smalti: Run) -> Callable[..., Any]:
    """Run a command with ``--json``; return what that says."""
    return lambda *arguments: json.loads(smalti(*arguments, "--json").stdout)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["ls"], 1, "there is no store at"),
        (["get", "nothing"], 1, "there is no store at"),
        (["put"], 2, "Missing argument"),
    ],
)
def test_a_process_ends_with_the_code_of_its_outcome_and_no_traceback(
    tmp_path: Path, arguments: list[str], code: int, sentence: str
) -> None:
    command = [sys.executable, "-c", "from smalti.cli import main; main()", *arguments]
    environment = {**os.environ, "SMALTI_ROOT": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_help_lists_every_command_and_loads_nothing_heavy(tmp_path: Path) -> None:
    program = """
import sys
sys.argv = ["smalti", "--help"]
from smalti.cli import main
try:
    main()
finally:
    print(sorted({"numpy", "pandas", "h5py", "mlx", "pydantic", "matplotlib", "rich.progress"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert all(command in done.stdout for command in COMMANDS)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_array_comes_back_as_the_file_it_was(tmp_path: Path, answer: Callable[..., Any], smalti: Run) -> None:
    np.save(tmp_path / "a.npy", np.arange(1000).reshape(10, 100))
    put = answer("put", "a.npy", "--name", "numbers/first")
    assert (put["kind"], put["nbytes"]) == ("array", 8000)
    assert smalti("get", "numbers/first").stdout == "first.npy\n"
    np.testing.assert_array_equal(np.load(tmp_path / "first.npy"), np.arange(1000).reshape(10, 100))


def test_the_same_scan_under_two_names_adds_less_than_10_kb(tmp_path: Path, answer: Callable[..., Any]) -> None:
    arrays = {"diffraction": np.random.default_rng(0).random((20, 64, 64), np.float32), "xcoords": np.arange(20.0)}
    np.savez(tmp_path / "a.npz", **arrays)
    np.savez_compressed(tmp_path / "b.npz", **arrays)
    first = answer("put", "a.npz", "--name", "one")
    before = sum(p.stat().st_size for p in (tmp_path / "store").rglob("*") if p.is_file())
    second = answer("put", "b.npz", "--name", "two")
    after = sum(p.stat().st_size for p in (tmp_path / "store").rglob("*") if p.is_file())
    assert second["digest"] == first["digest"]
    assert after - before < 10_000


def test_any_file_is_kept_as_bytes(tmp_path: Path, answer: Callable[..., Any], smalti: Run) -> None:
    (tmp_path / "notes.txt").write_bytes(b"a\r\nb")
    (tmp_path / "empty").write_bytes(b"")
    digest = answer("put", "notes.txt")["digest"]
    smalti("get", digest, "-o", "back")
    assert (tmp_path / "back").read_bytes() == b"a\r\nb"
    assert answer("put", "empty")["nbytes"] == 0


def test_a_tree_comes_back_as_a_folder(tmp_path: Path, smalti: Run) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.ones(2))
    smalti("put", "a.npz", "--name", "pair")
    smalti("get", "pair")
    np.testing.assert_array_equal(np.load(tmp_path / "pair" / "x.npy"), np.arange(3))
    assert {p.name for p in (tmp_path / "pair").iterdir()} == {"x.npy", "y.npy", "attrs.json"}


def test_ls_and_show_say_what_is_there(tmp_path: Path, answer: Callable[..., Any], smalti: Run) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(3))
    digest = answer("put", "a.npz", "--name", "pair")["digest"]
    (row,) = json.loads(smalti("ls", "--json").stdout)
    assert (row["name"], row["digest"], row["kind"], row["version"]) == ("pair", digest, "tree", 1)
    assert "pair" in smalti("ls").stdout
    shown = answer("show", digest[7:17])
    assert shown["names"] == ["pair"]
    assert "array <i8 (3,)" in smalti("show", "pair").stdout


def test_show_has_a_line_for_each_field_and_cuts_long_ones_off(tmp_path: Path, smalti: Run) -> None:
    value = {"a": np.arange(3), "card": {"licence": "CC0", "notes": "n" * 9999}, "year": 2024}
    open_store(tmp_path / "store").put(value, name="v")
    lines = smalti("show", "v").stdout.splitlines()
    assert {"  card:", "    licence: CC0", "  year: 2024"} <= set(lines)
    assert all(len(line) < 400 for line in lines)
    assert "(all of it: --json)" in smalti("show", "v").stdout


def test_a_value_that_nothing_would_keep_is_said(tmp_path: Path, smalti: Run) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    assert "keep it: smalti pin sha256:" in smalti("put", "a.npy").stderr
    assert not smalti("put", "a.npy", "--name", "a").stderr
    json.loads(smalti("put", "a.npy", "--json").stdout)


def test_fsck_is_0_when_clean_and_1_with_the_object_named_when_not(
    tmp_path: Path, answer: Callable[..., Any], smalti: Run
) -> None:
    np.save(tmp_path / "a.npy", np.arange(1000))
    digest = answer("put", "a.npy", "--name", "numbers")["digest"]
    assert "1 object, 8 kB: clean" in smalti("fsck").stdout
    path = next((tmp_path / "store").rglob("data.npy"))
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.chmod(0o644)
    path.write_bytes(content)
    done = smalti("fsck", code=1)
    assert digest in done.stdout
    assert "Needed by: numbers." in done.stdout
    assert not json.loads(smalti("fsck", "--json", code=1).stdout)["clean"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["put", "missing.npy"], "there is nothing at missing.npy; name a file or a folder to store."),
        (["get", "nothing"], "there is no store at"),
        (["put", "broken.npy"], "broken.npy is not a .npy file that can be stored"),
        (
            ["put", "broken.npz"],
            "broken.npz is no .npz archive (File is not a zip file); --opaque keeps the file as bytes",
        ),
        (["put", "fine.npy", "--name", "../up"], "'../up' cannot be a name"),
        (["get", "fine", "--store", "fine.npy"], "is a file, but a store is a folder"),
        (["get", "fine", "--store", "ftp://bucket"], "is no store; give a folder, s3://bucket/prefix or memory:"),
        (["put", "broken.parquet"], "broken.parquet is not a Parquet file that can be read"),
        (["ls", "--store", "fine.npy/x"], "there is no store at"),
        (["pull", "nowhere"], "there is no store at"),
    ],
)
def test_a_refusal_is_one_sentence_and_stores_nothing(
    tmp_path: Path, smalti: Run, arguments: list[str], sentence: str
) -> None:
    np.save(tmp_path / "fine.npy", np.arange(3))
    (tmp_path / "broken.npy").write_bytes(b"no array")
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    (tmp_path / "broken.parquet").write_bytes(b"no table")
    done = smalti(*arguments, code=None)
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.code == 1
    assert not (tmp_path / "store").exists()


def test_get_never_writes_over_a_file(tmp_path: Path, smalti: Run) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    smalti("put", "a.npy", "--name", "a")
    done = smalti("get", "a", code=1)
    assert "a.npy exists already; name another place with --output." in done.stderr


def test_doctor_measures_the_machine(tmp_path: Path, smalti: Run) -> None:
    found = json.loads(smalti("doctor", "--json", code=None).stdout)
    assert found["blas"]["gflops"] > 0
    assert found["disk"]["write_mb_per_s"] > 0
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".smalti-doctor")]


def test_what_is_forgotten_is_condemned_and_then_removed(
    tmp_path: Path, answer: Callable[..., Any], smalti: Run
) -> None:
    np.save(tmp_path / "a.npy", np.arange(1000))
    digest = answer("put", "a.npy", "--name", "a")["digest"]
    smalti("forget", "a")
    assert f"condemned  {digest[:19]}  " in smalti("gc", "--grace-hours", "0").stdout
    for _ in range(2):
        smalti("gc", "--no-dry-run", "--grace-hours", "0")
    assert "neither a name nor a digest" in smalti("show", digest[7:20], code=1).stderr
    assert "'a' is no name" in smalti("forget", "a", code=1).stderr


def test_a_value_travels_to_another_store_and_back(tmp_path: Path, answer: Callable[..., Any], smalti: Run) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.ones(2))
    smalti("put", "a.npz", "--name", "pair")
    assert "3 of 3 objects sent" in smalti("push", "elsewhere").stdout
    assert answer("push", "elsewhere", "pair")["sent"] == 0
    assert answer("pull", "elsewhere", "pair", "--store", "third")["names"] == ["pair"]
    assert "clean" in smalti("fsck", "--store", "third").stdout


def test_a_table_comes_in_as_parquet_and_goes_out_in_other_forms(
    tmp_path: Path, answer: Callable[..., Any], smalti: Run
) -> None:
    frame = pd.DataFrame({"name": ["a", "b"], "value": [1.5, None]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert answer("put", "t.parquet", "--name", "t")["kind"] == "table"
    smalti("get", "t", "-o", "out.arrow")
    smalti("get", "t", "--as", "csv")
    assert pa.ipc.open_file(tmp_path / "out.arrow").read_all().num_rows == 2
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "t.csv"), frame)
    assert "none of npy" in smalti("get", "t", "--as", "xlsx", code=2).stderr


def test_a_document_is_shown_and_written_as_plain_json(tmp_path: Path, smalti: Run) -> None:
    store = open_store(tmp_path / "store")
    config = {"rate": 1e-3, "layers": [1, 2], "name": "\u00e4"}
    store.put(config, name="config")
    store.put([1, 2.0, None], name="list")
    smalti("get", "config", "-o", "there.json")
    assert smalti("get", "config").stdout == "config.json\n"
    for name in ("there.json", "config.json"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert json.loads(text) == config
        assert text.splitlines()[:2] == ["{", '  "rate": 0.001,'], "in the order in which it was given"
    smalti("get", "list")
    assert json.loads((tmp_path / "list.json").read_text()) == [1, 2.0, None]
    assert "  value: [1, 2.0, null]" in smalti("show", "list").stdout.splitlines()
    assert "exists already" in smalti("get", "list", code=1).stderr
    assert "0 B" not in smalti("ls").stdout


def test_what_lies_in_its_record_is_written_as_an_ordinary_file(tmp_path: Path, smalti: Run) -> None:
    np.save(tmp_path / "small.npy", np.arange(3))
    smalti("put", "small.npy", "--name", "small")
    assert not list((tmp_path / "store" / "data").rglob("data.npy"))
    smalti("get", "small", "-o", "back.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "back.npy"), np.arange(3))
    (tmp_path / "note.txt").write_text("a note")
    smalti("put", "note.txt", "--name", "note")
    smalti("get", "note", "-o", "note-back.txt")
    assert (tmp_path / "note-back.txt").read_text() == "a note"


def test_a_name_whose_value_cannot_be_read_does_not_hide_the_others(tmp_path: Path, smalti: Run) -> None:
    store = open_store(tmp_path / "store")
    store.put(b"one", name="one")
    digits = store.put(b"two", name="two").digest.removeprefix("sha256:")
    record = tmp_path / "store" / "data" / digits[:2] / digits / "metadata.json"
    record.chmod(0o644)
    record.write_bytes(b"{}")
    done = smalti("ls", code=1)
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["one", "bytes"], ["two", "cannot"]]
    assert "smalti: two: " in done.stderr
    rows = json.loads(smalti("ls", "--json", code=1).stdout)
    assert [(row["name"], "error" in row) for row in rows] == [("one", False), ("two", True)]
