"""What a crate holds comes back into an empty store with the same digests, and the same lineage."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from smalti import Store, open_store
from smalti.errors import Damaged, NotFound, Refused
from smalti.provenance import export_crate, import_crate
from smalti.store import Progress, Ref
from smalti.store.manifests.manifest import dump
from smalti.testing.strategies import values

pytest.importorskip("rocrate", reason="rocrate is an extra: pip install 'smalti[crate]'")

TARGETS = ["crate", "crate.zip"]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("what", ["product/fly", "export", "solve"])
def test_values_and_lineage_come_back(beamline: Store, other: Store, tmp_path: Path, what: str, target: str) -> None:
    export_crate(beamline, what, tmp_path / target)
    done = import_crate(other, tmp_path / target)
    assert set(done.runs) >= {"ingest", "solve"}
    for run in done.runs:
        there, here = beamline.manifest(run), other.manifest(run)
        if run not in done.released:
            assert dump(here) == dump(there), "a manifest whose values are all here is the same, to the byte"
    product = beamline.resolve("product/fly" if what != "solve" else "solved/fly")
    assert other.lineage(product, "upstream") == beamline.lineage(product, "upstream")
    assert not other.fsck(full=True).problems
    for address in beamline.manifest("solve").used():
        assert other.record(address).canonical_header == beamline.record(address).canonical_header
        other.get(address)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values())
def test_every_value_comes_back_with_its_digest(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    place = tmp_path_factory.mktemp("crate")
    one, two = open_store("memory:"), open_store("memory:")
    ref = one.put(value)
    export_crate(one, ref.digest, place / "crate.zip")
    assert import_crate(two, place / "crate.zip").pinned == (ref.digest,), "nothing else keeps a value without a run"
    assert two.ref(ref.digest) == Ref(ref.digest, ref.kind, ref.nbytes)


def test_equal_stores_give_equal_bytes(beamline: Store, tmp_path: Path) -> None:
    for target in ("a.zip", "b.zip"):
        export_crate(beamline, "export", tmp_path / target)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_files_are_ordinary(beamline: Store, tmp_path: Path) -> None:
    export_crate(beamline, "product/fly", tmp_path / "crate")
    files = {path.name: path for path in (tmp_path / "crate" / "data").rglob("*") if path.is_file()}
    assert files["fly001.npz"].read_bytes() == b"raw" * 2000, "a raw file has its name and its bytes"
    assert np.load(files["diffraction.npy"]).shape == (2, 24, 24)
    assert "<!DOCTYPE html>" in (tmp_path / "crate" / "ro-crate-preview.html").read_text()


def test_what_differed_from_the_commit_comes_along(beamline: Store, other: Store, tmp_path: Path) -> None:
    export_crate(beamline, "solve", tmp_path / "crate")
    patch = str(beamline.manifest("solve").code["diff"])
    assert not import_crate(other, tmp_path / "crate").pinned, "the manifest keeps it"
    assert other.get(patch) == beamline.get(patch)


def test_what_is_stored_of_an_environment_comes_along(store: Store, other: Store, tmp_path: Path) -> None:
    details = store.put({"python": "3.11.9", "packages": {"numpy": "2.1.0"}})
    said = {"environment": {"details": details.digest, "host_class": "a laptop"}}
    store.add_manifest("make", outputs={"x": store.put(np.arange(9), "x")}, **said)
    export_crate(store, "x", tmp_path / "crate")
    assert not import_crate(other, tmp_path / "crate").released
    assert other.get(details) == store.get(details)
    assert not other.fsck(full=True).problems


def test_a_file_of_several_values_lies_there_once(store: Store, tmp_path: Path) -> None:
    shared = np.arange(4000.0)
    one, two = store.put({"shared": shared, "n": 1}), store.put({"shared": shared, "n": 2})
    store.add_manifest("make", inputs={"one": one}, outputs={"two": two})
    export_crate(store, "make", tmp_path / "crate")
    assert len(list((tmp_path / "crate").rglob("shared*.npy"))) == 1
    other = open_store("memory:")
    import_crate(other, tmp_path / "crate")
    assert (other.get(two)["shared"] == shared).all()


def test_by_reference_the_values_are_named_and_the_runs_are_found(
    beamline: Store, other: Store, tmp_path: Path
) -> None:
    done = export_crate(beamline, "export", tmp_path / "crate", data="reference")
    assert (done.included, done.referenced, done.nbytes) == (0, 7, 0)
    back = import_crate(other, tmp_path / "crate")
    assert {one.store for one in back.missing} == {beamline.place}
    assert len(back.missing) == 7
    product = beamline.resolve("product/fly")
    assert other.lineage(product, "upstream") == beamline.lineage(product, "upstream"), "also without the values"
    other.gc(dry_run=True)
    assert not other.fsck().problems, "a run keeps nothing that is not there"


def test_what_arrived_by_reference_is_completed_by_a_pull(beamline: Store, other: Store, tmp_path: Path) -> None:
    export_crate(beamline, "export", tmp_path / "crate", data="reference")
    missing = import_crate(other, tmp_path / "crate").missing
    other.pull(beamline, [one.address for one in missing])
    assert not import_crate(other, tmp_path / "crate").missing


def test_a_value_that_was_collected_is_named(beamline: Store, other: Store, tmp_path: Path) -> None:
    for run in ("ingest", "solve", "export"):
        beamline.release(run)
    beamline.forget("raw/fly")
    for _ in range(2):
        beamline.gc(dry_run=False, grace_seconds=0)
    done = export_crate(beamline, "product/fly", tmp_path / "crate")
    assert done.referenced >= 2
    back = import_crate(other, tmp_path / "crate")
    assert any("collected" in one.gone for one in back.missing)
    assert other.get(beamline.resolve("product/fly"))


def test_depth_leaves_out_what_is_further_away(beamline: Store, tmp_path: Path) -> None:
    assert export_crate(beamline, "product/fly", tmp_path / "one", depth=1).runs == 1
    assert export_crate(beamline, "product/fly", tmp_path / "all").runs == 3


def test_a_thousand_runs_come_back(
    store: Store, other: Store, long_chain: Callable[[int], Ref], tmp_path: Path
) -> None:
    last = long_chain(1000)
    seen: list[Progress] = []
    done = export_crate(store, last.digest, tmp_path / "crate.zip", progress=seen.append)
    assert (done.runs, done.included) == (1000, 1001)
    assert len(seen) == 0, "the values are trees of attributes alone: no file is written for them"
    memory = open_store("memory:")
    assert len(import_crate(memory, tmp_path / "crate.zip", progress=seen.append).runs) == 1000
    assert seen[-1].objects == seen[-1].of_objects == 1001 + 1000
    assert len(memory.lineage(last, "upstream")) == 1000


def test_a_circle_of_runs_comes_back(store: Store, other: Store, tmp_path: Path) -> None:
    one, two = store.put_all([b"1", b"2"])
    store.add_manifest("there", inputs={"a": one}, outputs={"b": two})
    store.add_manifest("back", inputs={"a": two}, outputs={"b": one})
    export_crate(store, one.digest, tmp_path / "crate")
    assert set(import_crate(other, tmp_path / "crate").runs) == {"there", "back"}


def test_a_dry_run_writes_nothing(beamline: Store, other: Store, tmp_path: Path) -> None:
    export_crate(beamline, "export", tmp_path / "crate")
    done = import_crate(other, tmp_path / "crate", dry_run=True)
    assert done.values > 6
    assert not list(other.manifests())
    with pytest.raises(NotFound):
        other.record(beamline.resolve("product/fly"))


def test_a_crate_makes_a_store_only_when_it_is_brought(beamline: Store, tmp_path: Path) -> None:
    export_crate(beamline, "export", tmp_path / "crate")
    missing = open_store(tmp_path / "missing")
    import_crate(missing, tmp_path / "crate", dry_run=True)
    assert not missing.exists()
    import_crate(missing, tmp_path / "crate")
    assert missing.get("sha256:" + beamline.resolve("product/fly")[7:])


def test_documents_are_files_and_come_back_as_they_were(store: Store, tmp_path: Path) -> None:
    document = [1, 2.0, -0.0, 2**60, (3, (4.5,)), {"b": None, "a": ["é", True]}]
    mapping = {"z": 8800.0, "rows": np.arange(3), "a": (1, 2), "document": document}
    ref = store.put(mapping)
    store.add_manifest("make", inputs={"document": store.put(document)}, outputs={"all": ref})
    export_crate(store, "make", tmp_path / "crate")
    (file,) = (path for path in (tmp_path / "crate" / "data").iterdir() if path.suffix == ".json")
    assert json.loads(file.read_text()) == json.loads(json.dumps(document))
    other = open_store("memory:")
    import_crate(other, tmp_path / "crate")
    back = other.get(ref)
    assert list(back) == list(mapping)
    assert repr([back["document"], back["z"], back["a"]]) == repr([document, 8800.0, (1, 2)])


def test_importing_twice_is_importing_once(beamline: Store, other: Store, tmp_path: Path) -> None:
    export_crate(beamline, "export", tmp_path / "crate")
    assert import_crate(other, tmp_path / "crate") == import_crate(other, tmp_path / "crate")


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_ever_written_over(beamline: Store, tmp_path: Path, target: str) -> None:
    (tmp_path / target).write_text("mine")
    with pytest.raises(Refused, match="exists already"):
        export_crate(beamline, "export", tmp_path / target)
    assert (tmp_path / target).read_text() == "mine"
    with pytest.raises(NotFound, match="is no folder"):
        export_crate(beamline, "export", tmp_path / "nowhere" / target)
    assert {path.name for path in tmp_path.iterdir()} == {"store", target}, "nothing is left behind"


@pytest.mark.parametrize("target", TARGETS)
def test_a_damaged_value_is_said_and_nothing_is_left(beamline: Store, tmp_path: Path, target: str) -> None:
    content = beamline.file(beamline.record("raw/fly").children["content"])
    assert content
    content.chmod(0o644)
    content.write_bytes(b"x" * content.stat().st_size)
    with pytest.raises(Damaged):
        export_crate(open_store(beamline.place), "solve", tmp_path / target)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_without_rocrate_it_is_said_how_to_install_it(beamline: Store, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['rocrate'] = None\n"
        "from pathlib import Path; from smalti import open_store; from smalti.provenance import export_crate\n"
        "export_crate(open_store(sys.argv[1]), 'solve', Path(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, beamline.place, tmp_path / "crate"], capture_output=True, text=True, check=False
    )
    assert "NotFound: rocrate is not installed" in done.stderr
    assert "pip install 'smalti[crate]'" in done.stderr


def test_hostile_names_stay_in_their_folder(store: Store, other: Store, tmp_path: Path) -> None:
    from smalti.codecs import RawFile

    names = {"..": b"1", "a/b": b"2", "A": b"3", "a": b"4", "": b"5", "attrs.json": b"6", "x" * 300: b"7", "é\n": b"8"}
    ref = store.put({**names, "said": 1}, "hostile")
    raw = store.put(RawFile("../../etc/passwd", b"9"))
    store.add_manifest("r", inputs={"../x": raw}, outputs={"y/../..": ref})
    export_crate(store, "r", tmp_path / "crate")
    assert {path.name for path in tmp_path.iterdir()} == {"store", "crate"} | (
        {"other"} & {p.name for p in tmp_path.iterdir()}
    )
    import_crate(other, tmp_path / "crate")
    assert {key: bytes(one) for key, one in other.get(ref).items() if key != "said"} == names


def test_entries_of_an_archive_have_no_time_of_their_own(beamline: Store, tmp_path: Path) -> None:
    export_crate(beamline, "export", tmp_path / "crate.zip")
    with zipfile.ZipFile(tmp_path / "crate.zip") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
    assert len({entity["@id"] for entity in graph}) == len(graph)
