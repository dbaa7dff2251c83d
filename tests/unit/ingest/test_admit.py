"""Admitting files: the copy is validated and stored, and what the machine does wrong is not the file's fault."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest

from smalti import Scan, Store, open_store
from smalti.codecs import CODECS, RawFile
from smalti.contracts import SCAN
from smalti.errors import ContractBroken, NotFound, Unavailable
from smalti.ingest import admit as admission
from smalti.ingest.admit import admit, examine, keep, stored_name, value_of
from smalti.store import Ref

Write = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def test_an_accepted_file_is_stored_as_it_came_and_known_by_its_key(
    tmp_path: Path, store: Store, write: Write, validator: Any
) -> None:
    path = write(tmp_path / "a.npz")
    report = admit(path, "a", store, validator)
    assert (report["accepted"], report["kind"], report["contract"]) == (True, "scan", SCAN.id)
    assert report["shape"] == [6, 16, 16]
    assert store.resolve("raw_scan/a") == report["digest"]
    assert bytes(store.get("raw_scan/a").content) == path.read_bytes()
    assert store.get("raw_scan/a").contract == SCAN.id
    assert (stored_name(store, "a"), stored_name(store, "b")) == ("a.npz", None)
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_the_value_in_a_stored_original_is_read_through_the_sandbox_again(
    tmp_path: Path, store: Store, write: Write, validator: Any
) -> None:
    report = admit(write(tmp_path / "a.npz"), "a", store, validator)
    scan = value_of(store, report["digest"], validator)
    assert isinstance(scan, Scan)
    assert scan.metadata.name == "a"
    assert value_of(store, report["digest"], validator, "a-123456").metadata.name == "a-123456"
    assert validator.read == ["a.npz", "raw.npz", "raw.npz"]


def test_every_kind_is_stored_under_its_own_name(tmp_path: Path, store: Store, validator: Any) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n")
    head = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    weights = len(head).to_bytes(8, "little") + head + np.ones(2, "f4").tobytes()
    (tmp_path / "m.safetensors").write_bytes(weights)
    (tmp_path / "notes.bin").write_bytes(b"\x01\x02 whatever")
    reports = [admit(tmp_path / name, name, store, validator) for name in ("t.csv", "m.safetensors", "notes.bin")]
    assert [report["kind"] for report in reports] == ["table", "checkpoint", "file"]
    assert all(report["accepted"] for report in reports)
    assert [stored_name(store, name) for name in ("t.csv", "m.safetensors", "notes.bin")] == [
        "t.csv",
        "m.safetensors",
        "notes.bin",
    ]
    assert value_of(store, "raw_table/t.csv", validator) == pa.table({"a": [1, 2], "b": ["x", "y"]})
    assert reports[0]["contents"]["columns"] == [{"name": "a", "type": "int64"}, {"name": "b", "type": "string"}]
    assert reports[1]["contents"]["arrays"] == [{"name": "w", "dtype": "float32", "shape": [2]}]
    assert "it is kept as bytes" in reports[2]["violations"][0]["message"]


def test_equal_bytes_are_read_once_and_kept_under_both_keys(
    tmp_path: Path, store: Store, write: Write, validator: Any
) -> None:
    first = admit(write(tmp_path / "a.npz"), "a", store, validator)
    (tmp_path / "copy").mkdir()
    known = {first["content"]: first}
    second = keep(examine(write(tmp_path / "b.npz"), "b", tmp_path / "copy", validator, known.get), store)
    assert validator.read == ["a.npz"]
    assert first["content"] == second["content"]
    assert second["same_bytes_as"] == "a"
    assert second["new_bytes"] < first["new_bytes"] / 2
    assert store.get("raw_scan/b").filename == "b.npz"


def test_another_card_makes_other_content(tmp_path: Path, store: Store, write: Write, validator: Any) -> None:
    paths = [write(tmp_path / "a.npz"), write(tmp_path / "b.npz")]
    paths[1].with_name("b.npz.card.yaml").write_text("name: b\nsource: here\nversion: '1'\nlicence: CC0-1.0\n")
    first, second = (admit(path, path.stem, store, validator) for path in paths)
    assert first["content"] != second["content"]
    assert second["licence"] == "CC0-1.0"
    assert store.get("raw_scan/b").card["licence"] == "CC0-1.0"
    assert value_of(store, second["digest"], validator).metadata.licence == "CC0-1.0"


def test_a_rejected_file_is_not_stored(tmp_path: Path, store: Store, write: Write, validator: Any) -> None:
    (tmp_path / "b.npz").touch()
    first = admit(write(tmp_path / "a.npz", xcoords=None), "a", store, validator)
    second = admit(tmp_path / "b.npz", "b", store, validator)
    assert [first["accepted"], second["accepted"]] == [False, False]
    assert "xcoords" in first["reason"]
    assert second["violations"][0]["code"] == "file.format"
    assert (second["kind"], second["contract"]) == ("scan", SCAN.id)
    assert not (tmp_path / "store" / "data").exists()


def test_a_file_that_is_written_to_while_it_is_copied_is_validated_later(
    tmp_path: Path, store: Store, write: Write, validator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.npz")
    fstat, looks = os.fstat, []

    def growing(descriptor: int) -> os.stat_result:
        looks.append(descriptor)
        if len(looks) == 3:  # opened, before, after
            with path.open("ab") as file:
                file.write(b"more")
        return fstat(descriptor)

    monkeypatch.setattr(admission.os, "fstat", growing)
    with pytest.raises(Unavailable, match="holds still"):
        admit(path, "a", store, validator)
    assert validator.read == []


def test_a_full_disk_and_a_vanished_file_are_not_the_files_fault(
    tmp_path: Path, store: Store, write: Write, validator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFound):
        admit(tmp_path / "nothing.npz", "nothing", store, validator)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(admission, "_stored", full)
    with pytest.raises(Unavailable, match="No space left"):
        admit(write(tmp_path / "a.npz"), "a", store, validator)
    assert not admit(write(tmp_path / "b.npz", xcoords=None), "b", store, validator)["accepted"]


def test_a_file_that_is_too_large_is_refused_before_it_is_copied(tmp_path: Path, store: Store, validator: Any) -> None:
    with (tmp_path / "a.npz").open("wb") as file:
        file.truncate(1 << 40)  # of holes
    report = admit(tmp_path / "a.npz", "a", store, validator)
    assert [violation["code"] for violation in report["violations"]] == ["file.too_large"]
    assert validator.read == []


def test_what_ends_the_reader_of_a_file_is_a_refusal_of_that_file(
    tmp_path: Path, store: Store, write: Write, validator: Any
) -> None:
    validator.faults["a.npz"] = ContractBroken("a.npz: it needed more memory.")
    report = admit(write(tmp_path / "a.npz"), "a", store, validator)
    assert (report["accepted"], report["reason"]) == (False, "a.npz: it needed more memory.")
    validator.faults["a.npz"] = Unavailable("no memory for a child process")
    with pytest.raises(Unavailable, match="child process"):
        admit(tmp_path / "a.npz", "a", store, validator)


def test_a_name_that_is_no_text_is_kept_escaped(tmp_path: Path, store: Store, write: Write, validator: Any) -> None:
    path = write(tmp_path / os.fsdecode(b"a.\xff.npz"))
    report = admit(path, "a", store, validator)
    assert report["accepted"]
    assert store.get("raw_scan/a").filename == r"a.\xff.npz"
    assert isinstance(value_of(store, report["digest"], validator), Scan)


def test_where_arrays_lie_in_an_hdf5_file_is_handed_to_the_store(
    tmp_path: Path, store: Store, validator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, column = np.mgrid[:128, :128] - 64
    counts = np.rint(900 * np.exp(-(row**2 + column**2) / 99))
    patterns = np.stack([counts + number % 2 for number in range(20)]).astype("f4")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("diffraction", data=patterns, chunks=(1, 128, 128))
        file["xcoords"] = file["ycoords"] = np.arange(20.0)
    (tmp_path / "folder").mkdir()
    examined = examine(tmp_path / "a.h5", "a", tmp_path / "folder", validator)
    assert examined.report["accepted"], examined.report["reason"]
    (array,) = examined.arrays
    assert (array.dtype, array.shape) == ("<f4", patterns.shape)
    content = CODECS.encode(RawFile("a.h5", (tmp_path / "a.h5").read_bytes(), arrays=examined.arrays))
    (part,) = content.children["content"].parts  # type: ignore[union-attr]
    assert bytes(part.encoded.buffers[0].data) == patterns.tobytes()
    put: list[RawFile] = []
    monkeypatch.setattr(Store, "put", lambda self, value, name: put.append(value) or Ref("sha256:0", "tree", 0))
    keep(examined, store)
    assert [raw.arrays for raw in put] == [(array,)]


def test_nothing_is_said_of_the_arrays_in_other_files(
    tmp_path: Path, store: Store, write: Write, validator: Any
) -> None:
    validator.stored_arrays = None  # is not asked
    path = write(tmp_path / "a.npz")
    (tmp_path / "b.h5.gz").write_bytes(gzip.compress(b"\x89HDF\r\n\x1a\n"))
    for source in (path, tmp_path / "b.h5.gz"):
        (folder := tmp_path / f"of {source.name}").mkdir()
        assert examine(source, "a", folder, validator).arrays == ()
