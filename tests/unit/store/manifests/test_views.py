"""Laws of views: what lies below ``runs/`` leads to manifests and data, stays in there, and can be made again."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti import Store, open_store
from smalti.codecs import CODECS
from smalti.errors import NotFound, Refused
from smalti.store.backends.local.backend import LocalBackend
from smalti.store.backends.memory import MemoryBackend
from smalti.store.manifests.linked_views import LinkedViews
from smalti.store.manifests.manifest import Manifest
from smalti.store.manifests.views import places_of, safe_part

CHURN = "by_project/churn"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


@pytest.fixture
def runs(store: Store) -> Path:
    """The folder that shows ``run_1``, with a table, an array and a tree among its inputs."""
    table = pd.DataFrame({"a": np.arange(999)})
    tree = {"scan": {"images": np.arange(998), "deep": {"er": {"still": {"one": b"x"}}}}, "rate": 0.5}
    values = {"training_data": table, "images.npy": np.arange(997), "all of it": tree, "few": np.arange(3)}
    store.add_manifest(
        "run_1", inputs={name: store.put(value) for name, value in values.items()}, views=[CHURN, "by_type/analysis"]
    )
    return Path(store.place) / "runs"


def lying_in(folder: Path) -> dict[str, str]:
    """Return every entry, path -> what it leads to."""
    return {
        path.relative_to(folder).as_posix(): str(path.readlink()) if path.is_symlink() else path.read_text()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_a_person_finds_manifest_and_data_of_a_run_as_ordinary_files(store: Store, runs: Path) -> None:
    run = runs / CHURN / "run_1"
    assert json.loads((run / "manifest.json").read_text())["run"] == "run_1"
    assert np.array_equal(np.load(run / "inputs" / "images.npy"), np.arange(997))
    assert len(pd.read_feather(run / "inputs" / "training_data.arrow")) == 999
    tree = run / "inputs" / "all of it"
    assert np.array_equal(np.load(tree / "scan" / "images.npy"), np.arange(998))
    assert json.loads((tree / "@tree.json").read_text())["header"]["attrs"] == {"rate": 0.5}
    assert np.load(run / "inputs" / "few.npy").shape == (3,), "a copy of what its record holds"
    assert (tree / "scan" / "deep" / "er").readlink().name == _er(store).removeprefix("sha256:")
    assert lying_in(runs / CHURN) == lying_in(runs / "by_type" / "analysis")


def _er(store: Store) -> str:
    """Return the address of the tree that lies too deep to be shown as a folder."""
    address = store.manifest("run_1").inputs["all of it"]
    for name in ("scan", "deep", "er"):
        address = store.record(address).children[name]
    return address


def test_views_move_with_the_store_and_are_in_a_copy(store: Store, runs: Path, tmp_path: Path) -> None:
    before = lying_in(runs)
    copy, back = open_store(tmp_path / "copy"), open_store(tmp_path / "back")
    copy.init()
    back.init()
    store.push(copy)
    assert lying_in(tmp_path / "copy" / "runs") == before
    shutil.move(store.place, tmp_path / "moved")
    assert (tmp_path / "moved" / "runs" / CHURN / "run_1" / "inputs" / "images.npy").stat().st_size
    back.pull(copy)
    assert lying_in(tmp_path / "back" / "runs") == before


def test_a_change_is_shown_and_moves_no_data(store: Store, runs: Path) -> None:
    data = {path: path.stat().st_mtime_ns for path in (Path(store.place) / "data").glob("*/*")}
    predicted = np.random.default_rng(0).bytes(9000)
    made = store.put(predicted)
    store.update_manifest("run_1", outputs={"predictions": made}, views=["all"])
    for view in (CHURN, "by_type/analysis", "all"):
        assert (runs / view / "run_1" / "outputs" / "predictions.bin").read_bytes() == predicted
    now = {path: path.stat().st_mtime_ns for path in (Path(store.place) / "data").glob("*/*")}
    assert {path: at for path, at in now.items() if path.name != made.digest[7:]} == data


def test_the_entry_of_a_released_run_leads_to_its_manifest(store: Store, runs: Path) -> None:
    store.release("run_1")
    assert json.loads((runs / CHURN / "run_1" / "manifest.json").read_text())["released_at"]
    for _ in range(2):
        store.gc(dry_run=False, grace_seconds=0)
    assert not (runs / CHURN / "run_1" / "inputs" / "images.npy").exists()
    store.rebuild_views()
    assert list(lying_in(runs / CHURN)) == ["run_1/manifest.json"]


def test_a_near_duplicate_is_shown_by_its_folder(store: Store) -> None:
    rows = np.random.default_rng(0).random((4000, 64))
    first, changed = store.put(rows), store.put(np.concatenate([rows, rows[:9]]))
    assert store.file(changed) is None
    store.add_manifest("run", inputs={"x": first}, outputs={"x": changed}, views=["all"])
    run = Path(store.place) / "runs" / "all" / "run"
    assert np.array_equal(np.load(run / "inputs" / "x.npy"), rows)
    assert (run / "outputs" / "x" / "recipe.json").is_file()


def test_a_run_that_was_begun_is_there_for_everybody_and_becomes_durable_with_the_first_update(store: Store) -> None:
    ref = store.put(np.arange(5))
    store.begin_manifest("run", inputs={"x": ref}, status="running", views=["all"])
    root = Path(store.place)
    assert [(m.run, m.status) for m in store.manifests()] == [("run", "running")]
    assert [use.run for use in store.runs_of(ref)] == ["run"]
    with pytest.raises(Refused, match="the run 'run' has another manifest already"):
        store.begin_manifest("run")
    for _ in range(2):
        store.gc(dry_run=False, grace_seconds=0)
    assert store.get(ref).tolist() == [0, 1, 2, 3, 4]
    assert json.loads((root / "runs/all/run/manifest.json").read_text())["status"] == "running"
    store.update_manifest("run", status="finished")
    assert json.loads((root / "runs/all/run/manifest.json").read_text())["status"] == "finished"
    assert [p.name for p in (root / "manifests").iterdir()] == ["run.json"]
    assert list((root / "running").iterdir()) == []
    assert store.fsck().clean


def test_a_begun_manifest_that_a_loss_of_power_has_emptied_counts_as_none(store: Store) -> None:
    store.init()
    (Path(store.place) / "running").mkdir()
    (Path(store.place) / "running" / "run.json").touch()
    with pytest.raises(NotFound, match="no manifest of a run 'run'"):
        store.manifest("run")
    assert list(store.manifests()) == []
    assert store.fsck().clean
    store.gc(dry_run=False)
    assert store.add_manifest("run").revision == 1


def test_a_process_that_is_killed_leaves_the_run_that_it_began(tmp_path: Path) -> None:
    program = (
        "import os, sys, smalti; smalti.open_store(sys.argv[1]).begin_manifest('run', status='running'); os.abort()"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=False)
    assert done.returncode < 0
    assert open_store(tmp_path).manifest("run").status == "running"


@pytest.mark.parametrize("view", ["../up", "a/../../b", "/etc", "", "a//b", ".hidden", "a/inputs", "manifest.json/b",
                                  "a\\b", "a\x00", "x" * 200, "all/"])  # fmt: skip
def test_a_view_that_would_leave_its_folder_is_refused_and_of_another_store_not_shown(store: Store, view: str) -> None:
    with pytest.raises(Refused, match="runs cannot be shown below"):
        store.add_manifest("run", views=[view])
    assert list(store.manifests()) == []
    store._manifests.bring(Manifest("run", "2024-01-15T00:00:00.000+00:00", views=(view, "all")))
    assert list(lying_in(Path(store.place) / "runs")) == ["all/run/manifest.json"]


def test_no_name_of_a_value_leads_out_of_the_folder_of_its_run(store: Store) -> None:
    names = ["../../../../evil", "/etc/passwd", "..", ".", "", "a/b", "a%2Fb", "é日本", "A", "a", "x" * 500, "nul\x00"]
    ref = store.put({"../../up": {name: np.arange(2) for name in names}})
    store.add_manifest("run", inputs=dict.fromkeys(names, store.put(b"x")) | {"tree": ref}, views=["all"])
    entries = lying_in(Path(store.place) / "runs")
    assert all(path.startswith("all/run/") for path in entries)
    assert len([path for path in entries if path.count("/") == 3]) == len(names)
    assert len([path for path in entries if "tree/%2E.%2F..%2Fup/" in path]) == len(names) + 1
    folders = {path for path in Path(store.place).iterdir() if path.is_dir()}
    assert {folder.name for folder in folders} <= {"data", "manifests", "runs", "small", "tmp"}
    assert store.fsck(full=True).clean


def test_a_run_called_like_a_folder_of_ours_does_not_lie_in_another(store: Store) -> None:
    assert places_of(Manifest("inputs", "", views=("a/r",))) == ["a/r/%inputs"]


@given(text=st.text(), other=st.text())
def test_different_texts_are_different_parts_of_a_path(text: str, other: str) -> None:
    part = safe_part(text)
    assert part not in {"", ".", ".."}
    assert not {"/", "\\", "\x00"} & set(part)
    assert len(part.encode()) <= 160
    assert (part == safe_part(other)) == (text == other)


def damage(runs: Path) -> None:
    shutil.rmtree(runs / "by_type")
    link = runs / CHURN / "run_1" / "manifest.json"
    link.unlink()
    link.symlink_to("/dev/null")
    (runs / "gone" / "run_0").mkdir(parents=True)
    (runs / "gone" / "run_0" / "manifest.json").symlink_to("nowhere")
    (runs / "notes.txt").write_text("mine")


def test_views_are_put_right_after_edits_by_hand_and_files_of_others_stay(store: Store, runs: Path) -> None:
    before = lying_in(runs)
    damage(runs)
    mended = store.rebuild_views()
    assert (mended.made, mended.removed) == (len(before) // 2 + 1, 1)
    assert lying_in(runs) == before | {"notes.txt": "mine"}
    assert not (runs / "gone").exists()
    assert (store.rebuild_views().made, store.rebuild_views().removed) == (0, 0)
    assert store.views() == {CHURN: ["run_1"], "by_type/analysis": ["run_1"]}


def test_collection_check_figures_and_copies_know_nothing_of_views(store: Store, runs: Path, tmp_path: Path) -> None:
    before, stats = lying_in(runs), store.stats()
    store.gc(dry_run=False, grace_seconds=0)
    assert store.fsck(full=True).clean
    assert lying_in(runs) == before
    shutil.rmtree(runs)
    assert store.fsck(full=True).clean
    assert store.stats() == stats
    copy = open_store(tmp_path / "copy")
    copy.init()
    store.push(copy)
    assert lying_in(tmp_path / "copy" / "runs") == before


def test_a_view_that_cannot_be_made_fails_no_run_and_is_said(store: Store) -> None:
    Path(store.place).mkdir()
    (Path(store.place) / "runs").write_text("in the way")
    with pytest.warns(UserWarning, match=r"the run run is recorded .* but not shown below runs/: .*--rebuild"):
        store.add_manifest("run", views=["all"])
    assert store.manifest("run").views == ("all",)


def _no_links(target: str, path: str) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM), path)


def _in_memory(_: Path) -> tuple[Store, Callable[[], dict[str, bytes]]]:
    backend = MemoryBackend()
    return Store(backend, CODECS), lambda: {
        key: content for key, content in backend.documents.items() if key.startswith("runs/")
    }


def _without_links(root: Path) -> tuple[Store, Callable[[], dict[str, bytes]]]:
    from smalti.store.manifests.local_index import LocalManifests

    backend = LocalBackend(root)
    manifests = LocalManifests(backend)
    manifests._views = LinkedViews(backend, symlink=_no_links)
    store = Store(backend, CODECS, manifests=manifests)
    return store, lambda: {f"runs/{path}": text.encode() for path, text in lying_in(root / "runs").items()}


@pytest.mark.parametrize("place", [_in_memory, _without_links])
def test_where_there_are_no_links_documents_name_the_keys(
    tmp_path: Path, place: Callable[[Path], tuple[Store, Callable[[], dict[str, bytes]]]]
) -> None:
    store, entries = place(tmp_path)
    ref = store.put(np.arange(3))
    store.add_manifest("run", inputs={"x/y": ref}, views=["all", "by_type/analysis"])
    before = entries()
    digits = ref.digest[7:]
    assert sorted(before) == [f"runs/{view}/run/{name}" for view in ("all", "by_type/analysis")
                              for name in ("inputs/x%2Fy.json", "manifest.json")]  # fmt: skip
    assert json.loads(before["runs/all/run/inputs/x%2Fy.json"]) == {
        "address": ref.digest,
        "below": f"data/{digits[:2]}/{digits}/",
    }
    assert "manifests/run.json" in json.loads(before["runs/all/run/manifest.json"])["one_of"]
    store._documents.remove("runs/all/run/manifest.json")
    store._documents.create("runs/old/gone/manifest.json", before["runs/by_type/analysis/run/manifest.json"])
    assert (store.rebuild_views().made, entries()) == (1, before)
    store.release("run")
    assert "released/run.json" in json.loads(entries()["runs/all/run/manifest.json"])["one_of"]
