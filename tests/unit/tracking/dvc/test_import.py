"""Laws of the import from DVC: every byte verified, nothing of DVC's changed, what is missing or hostile is named."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smalti import Store
from smalti.errors import Damaged, NotFound, Refused
from smalti.tracking import StatCache, checkout, read
from smalti.tracking.dvc import import_dvc

FILES = {"a.png": b"a\r\nb", "sub/b.png": b"\0\r\n", "sub/deeper/c": b"", "sub/again": b"a\r\nb"}
Bring = Callable[..., Any]


@pytest.fixture
def bring(tmp_path: Path, store: Store, cache: StatCache, dvc: Any) -> Bring:
    """Import the repository into ``ours``."""
    return lambda **more: import_dvc(store, cache, dvc.root, tmp_path / "ours", **more)


def state(folder: Path) -> dict[str, Any]:
    """Return every path below a folder, its content and its times."""
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in [folder, *folder.rglob("*")]
    }


def test_files_and_folders_come_back_bit_by_bit(
    tmp_path: Path, store: Store, cache: StatCache, dvc: Any, bring: Bring
) -> None:
    dvc.add("data/images", FILES)
    dvc.add("model.bin", b"\0" * 5000)
    dvc.add("run.sh", b"#!/bin/sh\r\n", isexec="true")
    before = state(dvc.root)
    report = bring()
    assert state(dvc.root) == before
    assert [(one.path, one.files) for one in report.imported] == [("data/images", 4), ("model.bin", 1), ("run.sh", 1)]
    assert report.skipped == ()
    for one in report.imported:
        checkout(store, cache, tmp_path / "ours" / one.path)
    images = tmp_path / "ours" / "data" / "images"
    assert {p.relative_to(images).as_posix(): p.read_bytes() for p in images.rglob("*") if p.is_file()} == FILES
    assert (tmp_path / "ours" / "run.sh").read_bytes() == b"#!/bin/sh\r\n"
    assert os.access(tmp_path / "ours" / "run.sh", os.X_OK)


def test_an_import_again_changes_nothing(tmp_path: Path, store: Store, dvc: Any, bring: Bring) -> None:
    dvc.add("images", FILES)
    first = bring()
    before = state(tmp_path / "ours")
    objects = sum(1 for _ in (tmp_path / "store" / "data").rglob("metadata.json"))
    assert bring() == first
    assert state(tmp_path / "ours") == before
    assert sum(1 for _ in (tmp_path / "store" / "data").rglob("metadata.json")) == objects
    assert len(list(store.manifests())) == 1


def test_git_ignores_the_store_where_it_lies_in_the_same_work_tree(
    tmp_path: Path, store: Store, dvc: Any, bring: Bring
) -> None:
    dvc.add("images", FILES)
    (tmp_path / ".git").mkdir()
    bring()
    ignored = Path(store.place).with_name(".gitignore")
    assert f"/{Path(store.place).name}" in ignored.read_text().splitlines()


def test_a_repository_of_git_is_never_an_output(dvc: Any, bring: Bring, tmp_path: Path) -> None:
    dvc.add(".git", {"config": b"[core]"})
    with pytest.raises(Refused, match="git"):
        bring()
    assert not (tmp_path / "ours" / ".git.smalti").exists()


def test_md5_and_remote_are_kept_without_the_password(store: Store, dvc: Any, bring: Bring) -> None:
    dvc.add("images", FILES)
    report = bring()
    manifest = store.manifest(report.run)
    assert manifest.outputs == {"images": report.imported[0].digest}
    described = manifest.notes["outputs"]["images"]  # type: ignore[index, call-overload]
    assert described["md5"] == report.imported[0].md5  # type: ignore[index, call-overload]
    assert described["remote_url"] == "https://example.org/dvc"  # type: ignore[index, call-overload]
    assert "secret" not in str(manifest)


def test_the_outputs_of_stages_are_imported_where_the_stages_work(dvc: Any, bring: Bring, tmp_path: Path) -> None:
    lock = "schema: '2.0'\nstages:\n"
    for name, path in {"train@1": "model", "plain": "../table.csv"}.items():
        outs = dvc.out(path, dvc.cached(path.encode())).replace("\n", "\n    ")
        lock += f"  {name}:\n    cmd: make\n    deps:\n    - path: x\n      md5: {'0' * 32}\n    outs:\n    {outs}\n"
    dvc.write("pipeline/dvc.lock", lock)
    dvc.write(
        "pipeline/dvc.yaml",
        "stages:\n  train:\n    foreach: [1]\n    do:\n      cmd: make\n      wdir: work\n  plain:\n    cmd: make\n",
    )
    assert [one.path for one in bring().imported] == ["pipeline/work/model", "table.csv"]
    assert read(tmp_path / "ours" / "table.csv").nbytes == len("../table.csv")


def test_what_the_cache_lacks_is_skipped_and_said_where_it_would_be(dvc: Any, bring: Bring, tmp_path: Path) -> None:
    dvc.add("images", FILES)
    dvc.add("other", {"x": b"1"})
    dvc.add("here", b"here")
    lost = dvc.cached(b"\0\r\n")
    dvc.place(lost).unlink()
    listing = dvc.listing({"x": b"1"})
    dvc.place(listing).unlink()
    report = bring()
    assert [one.path for one in report.imported] == ["here"]
    images, other = report.skipped
    where = "https://example.org/dvc/" + ("files/md5/" if dvc.layout == 3 else "")
    assert dict(images.missing) == {"sub/b.png": f"{where}{lost[:2]}/{lost[2:]}"}
    assert "1 of its 4 files are not in DVC's cache: run dvc pull images.dvc there" in images.why
    assert dict(other.missing) == {"": f"{where}{listing[:2]}/{listing[2:]}"}
    assert not (tmp_path / "ours" / "images.smalti").exists()


def test_what_dvc_does_not_keep_is_skipped(dvc: Any, bring: Bring) -> None:
    dvc.write("metrics.dvc", "outs:\n- path: metrics.json\n  cache: false\n  md5: 1\n")
    dvc.write("bucket.dvc", "outs:\n- path: s3://bucket/x\n  etag: abc\n")
    dvc.write("new.dvc", "outs:\n- path: new\n")
    assert [one.why.split(",")[0] for one in bring().skipped] == [
        "git keeps it",
        "DVC's cache has no MD5 of it: run dvc commit",
        "it lies outside of the repository",
    ]


def test_a_file_with_another_md5_is_never_imported(dvc: Any, bring: Bring, tmp_path: Path) -> None:
    dvc.add("fine", b"fine")
    dvc.add("file", b"content")
    place = dvc.place(dvc.cached(b"content"))
    place.chmod(0o644)
    place.write_bytes(b"Content")
    with pytest.raises(Damaged, match="does not have the MD5"):
        bring()
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize("setting", ["relative", "absolute", "local"])
def test_the_cache_may_lie_elsewhere(dvc: Any, bring: Bring, tmp_path: Path, setting: str) -> None:
    dvc.add("file", b"content")
    (dvc.root / ".dvc" / "cache").rename(tmp_path / "far")
    config = dvc.root / ".dvc" / ("config.local" if setting == "local" else "config")
    place = tmp_path / "far" if setting == "absolute" else "../../far"
    with config.open("a") as file:
        file.write(f"[cache]\n    type = hardlink,symlink\n    dir = {place}\n")
    assert [one.path for one in bring().imported] == ["file"]


def test_the_outputs_of_an_earlier_revision_are_imported(dvc: Any, bring: Bring, store: Store) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        subprocess.run(["git", "-C", dvc.root, *identity, *arguments], check=True, capture_output=True)

    git("init", "-q")
    dvc.add("data/file", b"first")
    git("add", "data")
    git("commit", "-qm", "first")
    dvc.add("data/file", b"second")
    now, then = bring().imported[0], bring(revision="HEAD").imported[0]
    assert (store.get(now.digest), store.get(then.digest)) == (b"second", b"first")
    with pytest.raises(NotFound, match="'gone' is no revision"):
        bring(revision="gone")


HOSTILE = {
    "up": "outs:\n- path: ../../x\n  md5: {md5}\n",
    "up by wdir": "wdir: ../..\nouts:\n- path: x\n  md5: {md5}\n",
    "absolute": "outs:\n- path: /etc/x\n  md5: {md5}\n",
    "absolute wdir": "wdir: /etc\nouts:\n- path: x\n  md5: {md5}\n",
    "home": "outs:\n- path: ~/x\n  md5: {md5}\n",
    "drive": "outs:\n- path: C:/x\n  md5: {md5}\n",
    "the repository": "outs:\n- path: .\n  md5: {md5}\n",
    "git": "outs:\n- path: .git/hooks\n  md5: {md5}\n",
    "no MD5": "outs:\n- path: x\n  md5: ../../../etc/passwd\n",
    "code": "outs: !!python/object/apply:os.system ['touch hacked']\n",
    "alias": "a: &a [1, 2]\nouts: *a\n",
    "bomb": "a: &a [x, x]\nb: &b [*a, *a]\nouts: *b\n",
    "deep": "outs: " + "[" * 500 + "]" * 500,
    "no YAML": "outs: [",
    "a list": "- 1\n",
    "nothing": "",
    "binary": "\0\1",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_metafile_is_refused_and_nothing_is_stored(
    dvc: Any, bring: Bring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    dvc.add("fine", b"fine")
    dvc.write("bad.dvc", HOSTILE[case].replace("{md5}", dvc.cached(b"x")))
    with pytest.raises(Refused, match=r"bad\.dvc"):
        bring()
    assert {path.name for path in tmp_path.iterdir()} == {"theirs"}


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "a//x", ".git/config", "", "a.png/x"])
def test_a_hostile_listing_is_refused_and_nothing_is_stored(dvc: Any, bring: Bring, tmp_path: Path, path: str) -> None:
    dvc.add("images", {"a.png": b"1", path: b"2"})
    with pytest.raises(Refused, match="listing"):
        bring()
    assert {path.name for path in tmp_path.iterdir()} == {"theirs"}


def test_a_link_cannot_lead_a_pointer_out_of_its_folder(dvc: Any, bring: Bring, tmp_path: Path) -> None:
    dvc.add("data/x", b"x")
    (tmp_path / "ours").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "ours" / "data").symlink_to(tmp_path / "outside")
    with pytest.raises(Refused, match="a link leads there"):
        bring()
    assert list((tmp_path / "outside").iterdir()) == []


def test_data_that_looks_like_a_metafile_is_data(dvc: Any, bring: Bring) -> None:
    dvc.add("images", {"a.dvc": b"- no metafile"})
    dvc.write("images/a.dvc", "- no metafile")
    assert [one.path for one in bring().imported] == ["images"]


def test_a_folder_without_dvc_is_said(tmp_path: Path, store: Store, cache: StatCache) -> None:
    with pytest.raises(NotFound, match="is no DVC repository"):
        import_dvc(store, cache, tmp_path, tmp_path)
