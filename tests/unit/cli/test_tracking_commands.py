"""Laws of the commands that DVC's users know: put, status, checkout, push, pull, diff, and import-dvc."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from smalti.cli import main


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    stdout: str
    stderr: str


Run = Callable[..., Ended]


@pytest.fixture
def smalti(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, in the git repository ``tmp_path/repository``."""
    repository = tmp_path / "repository"
    repository.mkdir()
    subprocess.run(["git", "init", "-q", repository], check=True)
    monkeypatch.chdir(repository)
    for name in ("SMALTI_ROOT", "SMALTI_REMOTE"):
        monkeypatch.delenv(name, raising=False)

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
def images(smalti: Run) -> Path:
    """A folder of two files in the repository, tracked and committed."""
    folder = Path("data/images")
    (folder / "sub").mkdir(parents=True)
    (folder / "a.png").write_bytes(b"a")
    (folder / "sub" / "b.png").write_bytes(b"b")
    smalti("put", str(folder))
    commit("first")
    return folder


def commit(message: str) -> None:
    """Commit everything that git does not ignore."""
    subprocess.run(["git", "add", "."], check=True)
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    subprocess.run(["git", *identity, "commit", "-qm", message], check=True)


def test_a_file_in_a_git_repository_is_tracked_byte_by_byte(smalti: Run) -> None:
    np.savez("scan.npz", x=np.arange(3))
    original = Path("scan.npz").read_bytes()
    done = smalti("put", "scan.npz")
    assert "scan.npz.smalti" in done.stdout
    assert "to commit: git add scan.npz.smalti .gitignore\n" in done.stderr
    assert Path(".gitignore").read_text() == "/scan.npz\n/store\n"
    Path("scan.npz").unlink()
    smalti("checkout")
    assert Path("scan.npz").read_bytes() == original


def test_a_named_file_is_a_value_and_leaves_no_pointer(smalti: Run) -> None:
    np.save("a.npy", np.arange(3))
    assert json.loads(smalti("put", "a.npy", "--name", "a", "--json").stdout)["kind"] == "array"
    assert json.loads(smalti("put", "a.npy", "--no-pointer", "--json").stdout)["kind"] == "array"
    assert {path.name for path in Path().iterdir()} == {".git", "a.npy", "store"}
    assert json.loads(smalti("put", "a.npy", "--pointer", "--json").stdout)["kind"] == "bytes"
    assert "leave out --name or --pointer" in smalti("put", "a.npy", "--name", "a", "--pointer", code=1).stderr


def test_a_named_folder_comes_back_by_its_name(smalti: Run, images: Path) -> None:
    smalti("put", str(images), "--name", "pictures")
    smalti("get", "pictures", "-o", "back")
    assert Path("back/sub/b.png").read_bytes() == b"b"
    assert {path.name for path in Path("back").iterdir()} == {"a.png", "sub"}


def test_get_of_a_tracked_path_says_what_writes_it(smalti: Run, images: Path) -> None:
    said = smalti("get", str(images), code=1).stderr
    assert "smalti checkout data/images" in said
    digest = said.split("smalti get ")[1].split()[0]
    smalti("get", digest, "-o", "copy")
    assert Path("copy/sub/b.png").read_bytes() == b"b"


def test_the_store_of_a_repository_is_found_from_its_folders(
    smalti: Run, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("data")
    assert smalti("status").stdout == "images  unchanged\n"
    assert json.loads(smalti("put", "images.smalti", "--json").stdout)["new_bytes"] == 0
    assert not Path("store").exists()


def test_status_is_1_and_names_what_differs(smalti: Run, images: Path) -> None:
    assert smalti("status").stdout == "data/images  unchanged\n"
    (images / "a.png").write_bytes(b"changed")
    (images / "new\x1b.png").write_bytes(b"new")
    (images / "sub" / "b.png").unlink()
    done = smalti("status", str(images), code=1)
    assert done.stdout.splitlines() == [
        "data/images  modified",
        r"'  added    new\x1b.png'",
        "  removed  sub/b.png",
        "  changed  a.png",
    ]
    (found,) = json.loads(smalti("status", "--json", code=1).stdout)
    assert (found["agrees"], found["changed"], found["removed"]) == (False, ["a.png"], ["sub/b.png"])
    assert "is not tracked" in smalti("status", "nothing", code=2).stderr


def test_checkout_names_what_would_be_lost_and_does_the_others(smalti: Run, images: Path) -> None:
    Path("other").write_bytes(b"other")
    smalti("put", "other")
    Path("other").unlink()
    (images / "a.png").write_bytes(b"mine")
    done = smalti("checkout", code=1)
    assert "data/images/a.png would be lost" in done.stderr
    assert Path("other").read_bytes() == b"other"
    assert (images / "a.png").read_bytes() == b"mine"
    smalti("checkout", "--force", "data")
    assert (images / "a.png").read_bytes() == b"a"


def test_a_clone_pulls_what_was_pushed(
    smalti: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "which remote?" in smalti("push", code=1).stderr
    Path(".env").write_text(f"SMALTI_REMOTE={tmp_path / 'remote'}\n")
    assert "not in the remote: smalti push" in smalti("status", "--remote", code=1).stdout
    smalti("push")
    assert "unchanged, in the remote" in smalti("status", "--remote").stdout
    subprocess.run(["git", "clone", "-q", ".", tmp_path / "clone"], check=True)
    monkeypatch.chdir(tmp_path / "clone")
    assert "missing here, not in the store: smalti pull" in smalti("status", code=1).stdout
    assert "fetch what the pointer files refer to: smalti pull" in smalti("checkout", code=1).stderr
    assert not Path("store").exists(), "looking makes no store"
    assert "what data/images.smalti refers to is not in" in smalti("push", str(tmp_path / "remote"), ".", code=1).stderr
    done = json.loads(smalti("pull", str(tmp_path / "remote"), "data", "--json").stdout)
    assert done["checked_out"] == [{"path": "data/images", "written": 2, "removed": 0, "kept": 0}]
    assert Path("data/images/sub/b.png").read_bytes() == b"b"
    assert smalti("status").stdout == "data/images  unchanged\n"


def test_a_remote_keeps_what_was_pushed(smalti: Run, images: Path, tmp_path: Path) -> None:
    remote = str(tmp_path / "remote")
    smalti("push", remote, "data/images.smalti")
    for _ in range(3):
        smalti("gc", "--store", remote, "--no-dry-run", "--grace-hours", "0")
    assert "clean" in smalti("verify", remote).stdout


def test_with_a_default_remote_the_first_argument_is_a_remote_only_where_it_is_nothing_of_ours(
    smalti: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALTI_REMOTE", str(tmp_path / "remote"))
    np.save("a.npy", np.arange(3))
    smalti("put", "a.npy", "--name", "numbers")
    for what in ("data", "data/images", "data/images.smalti", "numbers"):
        smalti("push", what)
    assert {path.name for path in Path().iterdir()} == {".git", ".gitignore", ".smalti", "a.npy", "data", "store"}
    smalti("push", str(tmp_path / "second"))
    assert "numbers" in smalti("ls", "--store", str(tmp_path / "second")).stdout


def test_diff_compares_revisions_of_what_is_tracked(smalti: Run, images: Path) -> None:
    (images / "a.png").write_bytes(b"second")
    smalti("put", "data/images")
    assert "changed  a.png" in smalti("diff", "data/images", code=1).stdout
    commit("second")
    equal = smalti("diff", "data/images.smalti")
    assert equal.stdout == "equal\n"
    assert "pointer files were compared" in equal.stderr, "what was not put yet is not seen"
    assert "changed  a.png" in smalti("diff", "HEAD~1", "--", "data/images", code=1).stdout
    assert "changed  a.png" in smalti("diff", "HEAD~1", "HEAD", "data/images", code=1).stdout
    (change,) = json.loads(smalti("diff", "--json", "HEAD~1", "data/images", code=1).stdout)["changes"]
    assert change["path"] == "a.png"
    smalti("put", "data/images", "--name", "pictures")
    assert smalti("diff", "pictures", "data/images").stdout == "equal\n"
    smalti("put", "data/images", "--name", "HEAD")
    assert "is a name in" in smalti("diff", "HEAD", "data/images", code=2).stderr
    assert "two values are compared" in smalti("diff", "nothing", code=2).stderr


def test_a_dvc_repository_is_imported(smalti: Run, tmp_path: Path) -> None:
    md5 = hashlib.md5(b"x").hexdigest()
    place = tmp_path / "theirs" / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True)
    place.write_bytes(b"x")
    theirs = tmp_path / "theirs"
    (theirs / "x.dvc").write_text(f"outs:\n- md5: {md5}\n  hash: md5\n  path: x\n")
    assert "imported  x  1 file, 1 B  ->  x.smalti" in smalti("import-dvc", str(theirs)).stdout
    smalti("checkout")
    assert Path("x").read_bytes() == b"x"
    place.unlink()
    done = smalti("import-dvc", str(theirs), code=1)
    assert "skipped   x  1 of its 1 files are not in DVC's cache" in done.stdout
    (skipped,) = json.loads(smalti("import-dvc", str(theirs), "--json", code=1).stdout)["skipped"]
    assert skipped["missing"] == {"": "no remote is configured"}
    assert "is no DVC repository" in smalti("import-dvc", ".", code=1).stderr
