"""Of a crate that came from anywhere nothing is believed, nothing outside it is read, and nothing half is written."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smalti import Store
from smalti.errors import Damaged, NotFound, Refused, SmaltiError
from smalti.provenance import export_crate, import_crate

pytest.importorskip("rocrate", reason="rocrate is an extra: pip install 'smalti[crate]'")

Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def crate(beamline: Store, tmp_path: Path) -> Path:
    """The folder of a sound crate."""
    export_crate(beamline, "export", tmp_path / "crate")
    return tmp_path / "crate"


def edited(crate: Path, edit: Edit) -> None:
    document = json.loads((crate / "smalti.json").read_text())
    edit(document)
    (crate / "smalti.json").write_text(json.dumps(document))


def assert_nothing_is_there(store: Store) -> None:
    assert not list(store.manifests())
    assert not store.pins()
    assert not store.stats().objects


def test_a_changed_file_is_named_and_nothing_is_written(crate: Path, other: Store) -> None:
    (changed,) = crate.rglob("fly001.npz")
    content = bytearray(changed.read_bytes())
    content[100] ^= 1
    changed.chmod(0o644)
    changed.write_bytes(content)
    with pytest.raises(Refused, match=r"fly001\.npz .* is not sha256:.* as the crate states"):
        import_crate(other, crate)
    assert_nothing_is_there(other)


def test_every_file_cut_anywhere_is_refused(crate: Path, other: Store, tmp_path: Path) -> None:
    for path in [path for path in (crate / "data").rglob("*") if path.is_file() and path.name != "attrs.json"]:
        whole = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(SmaltiError):
            import_crate(other, crate)
        path.unlink()
        with pytest.raises(NotFound, match="lacks"):
            import_crate(other, crate)
        path.write_bytes(whole)
    assert_nothing_is_there(other)
    import_crate(other, crate)


def first(document: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(v for v in document["values"].values() if v["header"]["kind"] == kind)
    return found


def set_path(path: str) -> Edit:
    return lambda document: first(document, "array").update(path=path)


EDITS: dict[str, tuple[Edit, str]] = {
    "up": (set_path("../../etc/passwd"), "leads out of it"),
    "absolute": (set_path("/etc/passwd"), "leads out of it"),
    "inside up": (set_path("data/../../x"), "leads out of it"),
    "backslash": (set_path("..\\x"), "leads out of it"),
    "drive": (set_path("C:/x"), "leads out of it"),
    "no path": (lambda d: first(d, "array").update(path=7), "is no path"),
    "no header": (lambda d: first(d, "array").update(header=[]), "has no header"),
    "kind": (lambda d: first(d, "array")["header"].update(kind="pickle"), "pickle"),
    "dtype": (lambda d: first(d, "array")["header"].update(dtype="|O"), "is not"),
    "shape": (lambda d: first(d, "array")["header"].update(shape=[2**40, 2**40]), "is not"),
    "negative": (lambda d: first(d, "array").update(buffers=[[-1, 4]]), "does not say where"),
    "beyond": (lambda d: first(d, "array").update(buffers=[[0, 2**61]]), "cut short"),
    "no buffers": (lambda d: first(d, "array").pop("buffers"), "does not say where"),
    "table": (lambda d: first(d, "table")["header"].update(rows=10**12), "is not"),
    "batches": (lambda d: first(d, "table")["header"].update(batches=[10**9]), "is not|cut"),
    "child": (lambda d: first(d, "tree")["header"]["children"].update(x="sha256:" + "0" * 64), "without its part"),
    "no digest": (lambda d: d["values"].update({"nonsense": {}}), "is no digest"),
    "attrs": (lambda d: first(d, "tree")["header"].update(attrs={"more": 1}), "is not sha256"),
    "types": (lambda d: first(d, "tree")["header"].update(types=5), "are no object"),
    "other types": (lambda d: first(d, "tree")["header"].update(types={"/kind": "float"}), "do not fit"),
    "order": (lambda d: first(d, "tree").update(order=["x"]), "is not sha256"),
    "no order": (lambda d: first(d, "tree").update(order=5), "no list of names"),
    "format": (lambda d: d.update(format=99), "upgrade Smalti"),
    "manifest": (lambda d: d["manifests"].append("../x.json"), "leads out of it"),
    "manifests": (lambda d: d.update(manifests={}), "no list"),
    "same manifest": (lambda d: d["manifests"].append(d["manifests"][0]), "two manifests of one run"),
}


@pytest.mark.parametrize("name", EDITS)
def test_what_is_not_what_it_should_be_is_refused_in_a_sentence(crate: Path, other: Store, name: str) -> None:
    edit, said = EDITS[name]
    edited(crate, edit)
    with pytest.raises(SmaltiError, match=said) as refused:
        import_crate(other, crate)
    assert "\n" not in str(refused.value)
    assert_nothing_is_there(other)


def test_a_link_is_not_followed(crate: Path, other: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    (path,) = crate.rglob("fly001.npz")
    shutil.copy(path, secret)
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(Refused, match="links are not followed"):
        import_crate(other, crate)
    folder = path.parent
    path.unlink()
    shutil.copy(secret, tmp_path / "fly001.npz")
    elsewhere = tmp_path / "elsewhere"
    shutil.move(folder, elsewhere)
    shutil.move(tmp_path / "fly001.npz", elsewhere / "fly001.npz")
    folder.symlink_to(elsewhere)
    with pytest.raises(Refused, match="links are not followed"):
        import_crate(other, crate)


def test_a_pipe_in_place_of_a_file_blocks_nothing(crate: Path, other: Store) -> None:
    (path,) = crate.rglob("fly001.npz")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Refused, match="no ordinary file"):
        import_crate(other, crate)


def test_a_crate_of_another_tool_is_refused_with_the_way(other: Store, tmp_path: Path) -> None:
    from rocrate.rocrate import ROCrate

    theirs = ROCrate()
    (tmp_path / "a.txt").write_text("a")
    theirs.add_file(tmp_path / "a.txt")
    theirs.write(tmp_path / "theirs")
    with pytest.raises(Refused, match=r"a crate of another tool.*smalti put"):
        import_crate(other, tmp_path / "theirs")


@pytest.mark.parametrize(("content", "error"), [(b"", Refused), (b"PK\x03\x04junk", Refused), (None, NotFound)])
def test_what_is_no_crate_is_said(other: Store, tmp_path: Path, content: bytes | None, error: type[Exception]) -> None:
    if content is not None:
        (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(error):
        import_crate(other, tmp_path / "x.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="is no RO-Crate"):
        import_crate(other, tmp_path / "empty")


def packed(crate: Path, path: Path, edit: Callable[[zipfile.ZipFile], None] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(crate.rglob("*")):
            archive.write(file, file.relative_to(crate).as_posix())
        if edit:
            edit(archive)
    return path


def test_an_archive_packed_by_hand_is_as_good_also_with_a_folder_around_it(
    crate: Path, other: Store, tmp_path: Path
) -> None:
    import_crate(other, packed(crate, tmp_path / "plain.zip"))
    shutil.make_archive(str(tmp_path / "around"), "zip", tmp_path, "crate")
    import_crate(other, tmp_path / "around.zip")


def link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("data/link")
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    archive.writestr(entry, "/etc/passwd")


def twice(archive: zipfile.ZipFile) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("smalti.json", "{}")


ARCHIVES: dict[str, tuple[Callable[[zipfile.ZipFile], None], str]] = {
    "up": (lambda archive: archive.writestr("../x", "x"), "leads out of it"),
    "absolute": (lambda archive: archive.writestr("/x", "x"), "leads out of it"),
    "link": (link, "a link or a device"),
    "twice": (twice, "twice"),
    "bomb": (lambda archive: archive.writestr("data/bomb", bytes(400 << 20)), "would expand"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_is_not_to_be_trusted_is_refused_unread(
    crate: Path, other: Store, tmp_path: Path, name: str
) -> None:
    edit, said = ARCHIVES[name]
    with pytest.raises(Refused, match=said):
        import_crate(other, packed(crate, tmp_path / "x.zip", edit))
    assert_nothing_is_there(other)


def test_a_damaged_archive_is_said_to_be(crate: Path, other: Store, tmp_path: Path) -> None:
    path = packed(crate, tmp_path / "x.zip")
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("smalti.json").header_offset
    content[at + 200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises((Damaged, Refused)):
        import_crate(other, path)
    assert_nothing_is_there(other)


def test_json_that_is_too_deep_is_refused(crate: Path, other: Store) -> None:
    (crate / "smalti.json").write_text("[" * 100_000)
    with pytest.raises(Refused, match="not strict JSON"):
        import_crate(other, crate)


def test_a_run_that_is_another_one_here_is_not_replaced(crate: Path, other: Store) -> None:
    there = other.add_manifest("solve", parameters={"mine": 1})
    with pytest.raises(Refused, match="'solve' has another manifest"):
        import_crate(other, crate)
    assert [*other.manifests()] == [there]


def test_a_run_that_would_be_a_part_of_itself_is_refused(crate: Path, other: Store) -> None:
    from dataclasses import replace

    from smalti.store.manifests.manifest import dump, parse

    path = crate / "manifests" / "solve.json"
    manifest = parse(path.read_bytes(), "manifests/solve.json")
    path.write_bytes(dump(replace(manifest, parent="export")))
    with pytest.raises(Refused, match="part of itself"):
        import_crate(other, crate)
    assert_nothing_is_there(other)


@pytest.mark.parametrize("field", ["inputs", "steps", "metrics", "views", "status", "revision"])
def test_a_manifest_of_other_types_is_refused(crate: Path, other: Store, field: str) -> None:
    from smalti.store.format.sealed import seal, unseal

    path = crate / "manifests" / "solve.json"
    document = unseal(path.read_bytes(), "it")
    document[field] = (
        {"a": 7} if field == "inputs" else [{"name": 7}] if field == "steps" else [7] if field == "views" else []
    )
    path.write_bytes(seal(document))
    with pytest.raises(SmaltiError, match="manifest"):
        import_crate(other, crate)
    assert_nothing_is_there(other)


@pytest.mark.parametrize("content", [b"", b"[1", b"[1, 3]", b"[1.0, 2]", b'{"a": 1}', b"[1e999]", b"[" * 100_000])
def test_a_document_that_was_changed_is_refused(store: Store, other: Store, tmp_path: Path, content: bytes) -> None:
    export_crate(store, store.put([1, 2]).digest, tmp_path / "crate")
    (path,) = (tmp_path / "crate" / "data").iterdir()
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(Refused, match=rf"{path.name} in .* is not"):
        import_crate(other, tmp_path / "crate")
    assert_nothing_is_there(other)
