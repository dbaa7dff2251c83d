"""Laws of sources that somebody made to do harm, or that are simply broken: nothing is followed, run or left unsaid."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from smalti import Store
from smalti.errors import Ambiguous, NotFound, Refused
from smalti.migration import plan_migration
from smalti.migration.layouts.mltrack_v1 import plan as plan_v1
from smalti.migration.sources.folder import folder_source
from smalti.migration.values.documents import yaml_document


def test_links_are_not_followed(bring, store: Store, tmp_path: Path, v1_run: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/x_20250301_120000_00000000.json").write_text('"secret"')
    run = v1_run / "mltrack/experiments/7/runs/run_a"
    (run / "inputs/x_20250301_120000_00000000.json").symlink_to(tmp_path / "secret/x_20250301_120000_00000000.json")
    (run / "plots").symlink_to(tmp_path / "secret")
    report = bring(v1_run)
    assert {left.path.rsplit("/", 1)[-1] for left in report.plan.left} == {"x_20250301_120000_00000000.json", "plots"}
    assert "x" not in store.manifest("run_a").inputs


def test_a_folder_that_became_a_link_after_it_was_looked_at_is_refused(tmp_path: Path, v1_run: Path) -> None:
    source = folder_source(v1_run)
    (part,) = [part for run in plan_v1(source, "").runs for part in run.outputs.values() if "result" in str(part)]
    outputs = v1_run / "mltrack/experiments/7/runs/run_a/outputs"
    outputs.rename(tmp_path / "moved")
    outputs.symlink_to(tmp_path / "moved")
    with pytest.raises(Refused, match="reached through a link that leaves"), source.local(part.path):
        pass


def test_pipes_and_names_that_are_no_text_are_left_and_said(bring, mlruns: Path) -> None:
    artifacts = mlruns / "42" / ("a" * 32) / "artifacts"
    os.mkfifo(artifacts / "pipe")
    Path(os.fsdecode(os.fsencode(artifacts) + b"/\xff")).write_text("x")
    (artifacts / "a\nb").write_text("x")
    whys = " ".join(left.why for left in bring(mlruns).plan.left)
    assert "pipe" in whys
    assert "not UTF-8" in whys
    assert "control characters" in whys


def test_artifacts_that_are_said_to_be_elsewhere_are_not_fetched_from_there(
    bring, store: Store, tmp_path: Path, mlruns: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret")
    run = mlruns / "42" / ("a" * 32)
    for path in sorted((run / "artifacts").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    meta = run / "meta.yaml"
    meta.write_text(meta.read_text().replace("artifact_uri: ", f"artifact_uri: file://{tmp_path}/secret #"))
    report = bring(mlruns)
    assert any("outside of its folder" in remark for remark in report.brought[0].remarks)
    assert not [name for name in store.manifest("a" * 32).outputs if name.startswith("artifacts")]


def test_yaml_that_grows_without_bound_is_refused() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    with pytest.raises(Refused, match="holds more than 100000 items"):
        yaml_document(bomb.encode(), "meta.yaml")
    merges = "a0: &a0 {k: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{f'*a{n - 1}, ' * 9}]}}\n" for n in range(1, 12))
    for text in ("a: &a [*a]\n", "[" * 5000, "&a {b: *a}", "[" * 500_000, "- " * 500_000, merges):
        with pytest.raises(Refused, match=r"meta.yaml"):
            yaml_document(text.encode(), "meta.yaml")


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no YAML of plain values"):
        yaml_document(f"!!python/object/apply:os.mkdir ['{tmp_path}/made']".encode(), "_meta.yaml")
    assert not (tmp_path / "made").exists()


def test_what_json_has_no_word_for_is_spelled_as_text() -> None:
    found = yaml_document(b"a: .nan\nb: 2024-01-15\nc: !!binary aGk=\n1: x\n", "meta.yaml")
    assert found == {"a": "nan", "b": "2024-01-15", "c": {"base64": "aGk="}, "1": "x"}


class _Harm:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("harm",)


def test_pickled_objects_in_an_array_are_kept_as_bytes_and_said(
    bring, store: Store, v1, v1_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = v1_run / v1.key("7", "run_a", "inputs", "x_20250301_120000_00000000.npy")
    np.save(path, np.array([_Harm()], dtype=object), allow_pickle=True)
    report = bring(v1_run)
    assert not Path("harm").exists()
    assert any("pickled Python objects" in remark for remark in report.brought[0].remarks)
    assert store.get(store.manifest("run_a").inputs["x"]) == path.read_bytes()
    assert pickle.dumps(_Harm())


@pytest.mark.parametrize("ending", ["npy", "parquet", "json"])
@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY\x01\x00", b"PAR1PAR1", b"\x93NUMPY" + b"\xff" * 40, b'{"a": NaN}']
)
def test_a_damaged_file_is_kept_as_its_bytes_and_said(
    bring, store: Store, v1, v1_run: Path, ending: str, content: bytes
) -> None:
    v1.write(v1.key("7", "run_a", "inputs", f"x_20250301_120000_00000000.{ending}"), content)
    report = bring(v1_run)
    assert any(f".{ending} is kept as bytes" in remark for remark in report.brought[0].remarks)
    assert store.get(store.manifest("run_a").inputs["x"]) == content


def test_an_array_whose_header_claims_more_than_there_is_takes_no_memory(bring, store: Store, v1, v1_run: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    v1.write(v1.key("7", "run_a", "inputs", "x_20250301_120000_00000000.npy"), content)
    assert any("another size than its header says" in r for r in bring(v1_run).brought[0].remarks)


def test_hdf5_that_leads_elsewhere_is_kept_as_bytes(bring, store: Store, tmp_path: Path, datamate_tree: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["data"] = np.arange(3)
    for name, link in {
        "external": h5py.ExternalLink(str(tmp_path / "secret.h5"), "/data"),
        "soft": h5py.SoftLink("/nowhere"),
    }.items():
        with h5py.File(datamate_tree / f"exp/{name}.h5", "w") as file:
            file["data"] = link
    report = bring(datamate_tree)
    value = store.get("source/exp")
    assert isinstance(value["external"], bytes)
    assert isinstance(value["soft"], bytes)
    assert sum("is kept as bytes" in r for one in report.brought for r in one.remarks) == 2


def test_a_description_that_is_far_too_large_is_not_read(bring, v1, v1_run: Path) -> None:
    path = v1_run / v1.key("7", "run_a", "", "manifest.json")
    with path.open("wb") as file:
        file.truncate(1 << 30)  # a sparse file
    (failed,) = bring(v1_run).failed
    assert "look into it" in failed.why


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said(bring, v1_run: Path) -> None:
    (v1_run / "mltrack/experiments/7/runs/run_a/outputs").chmod(0)
    report = bring(v1_run)
    (v1_run / "mltrack/experiments/7/runs/run_a/outputs").chmod(0o755)
    assert [left.why for left in report.plan.left] == ["is a folder that may not be read"]
    assert not report.plan.is_whole


def test_two_systems_in_one_folder_are_named_and_one_has_to_be_chosen(
    bring, store: Store, v1_run: Path, write_tree
) -> None:
    write_tree(v1_run / "exp")
    with pytest.raises(Ambiguous, match="files of mltrack-v1 and datamate; say with --from"):
        plan_migration(str(v1_run))
    bring(v1_run, kind="datamate")
    assert {named.name for named in store.names()} >= {"source/exp"}


def test_a_folder_of_no_known_system_is_refused_with_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(NotFound, match="nothing that is known"):
        plan_migration(str(tmp_path))
    with pytest.raises(NotFound, match="no files of mlflow, nor of any other"):
        plan_migration(str(tmp_path), "mlflow")
    with pytest.raises(NotFound, match="there is no folder"):
        plan_migration(str(tmp_path / "none"))
    with pytest.raises(Refused, match="choose one of mltrack-v1, mltrack-v2, datamate, mlflow"):
        plan_migration(str(tmp_path), "wandb")
    with pytest.raises(Refused, match="no database of MLflow"):
        plan_migration(str(tmp_path / "a.txt"))
    with pytest.raises(Refused, match="no source"):
        plan_migration("ftp://host/x")


def test_a_prefix_that_no_name_can_begin_with_is_refused(v1_run: Path, write_tree) -> None:
    for prefix in ("a/b", "-x", "a b", "/"):
        with pytest.raises(Refused, match="names cannot begin with"):
            plan_migration(str(v1_run), prefix=prefix)
    write_tree(v1_run / "exp")
    with pytest.raises(Refused, match="in parts joined by '/'"):
        plan_migration(str(v1_run), "datamate", prefix="a//b")


def test_folders_within_folders_without_end_are_left_and_said(bring, mlruns: Path) -> None:
    folder = mlruns / "42" / ("a" * 32) / "artifacts"
    for _ in range(110):
        folder /= "d"
        folder.mkdir()
    (folder / "x").write_text("x")
    report = bring(mlruns)
    assert not report.failed
    assert [left.why for left in report.plan.left] == ["lies more than 100 folders deep"]


def test_mlflow_that_is_not_installed_is_one_sentence(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['mlflow'] = None\n"
        "from smalti.migration import plan_migration\n"
        "plan_migration('http://127.0.0.1:9')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "NotFound: MLflow's client is not installed" in done.stderr
    assert "pip install 'smalti[mlflow]'" in done.stderr
