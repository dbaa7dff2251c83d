"""Laws of the output folder: complete or absent at every step, never outside of its place, never over other files."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smalti.errors import Refused
from smalti.outputs.folder import replace_folder

NAME = "star-7"
KNOWN = {"metrics.csv", "params.json", "logs", "loss.png", "frc.png"}


def files(name: str = NAME, metrics: bytes = b"", **more: bytes) -> dict[str, bytes]:
    parameters = json.dumps({"scan": name}).encode()
    return {"metrics.csv": metrics, "params.json": parameters, "logs/debug.log": b"", "loss.png": b"", **more}


ALWAYS = files().keys()
WITH_FRC = files(metrics=b"old", **{"frc.png": b"png"})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_older_folder_is_replaced_as_a_whole_and_so_is_what_a_killed_writer_left(tmp_path) -> None:
    replace_folder(tmp_path, "scan", NAME, WITH_FRC, KNOWN)
    for left in (".star-7.part", ".star-7.old"):
        (tmp_path / left / "logs").mkdir(parents=True)
        (tmp_path / left / "history.h5").write_text("half")
    folder = replace_folder(tmp_path, "scan", NAME, files(metrics=b"new"), KNOWN)
    assert folder == tmp_path / "star-7"
    assert contents(folder) == files(metrics=b"new")
    assert {path.name for path in tmp_path.iterdir()} == {"star-7", ".lock"}


@pytest.mark.parametrize("name", ["../../etc/passwd", "", ".a/b\\c", "x" * 400])
def test_a_name_from_outside_is_never_a_path(tmp_path, name) -> None:
    outputs = tmp_path / "here" / "outputs"
    folder = replace_folder(outputs, "scan", name, files(name), KNOWN)
    assert folder.parent == outputs
    assert folder.resolve() == outputs.resolve() / folder.name
    assert not folder.name.startswith(".")
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"outputs"}
    assert replace_folder(outputs, "scan", name, files(name), KNOWN) == folder


def make_products(target: Path) -> None:
    target.mkdir()
    (target / "star.h5").write_bytes(b"a product")


def make_file(target: Path) -> None:
    target.write_bytes(b"mine")


def make_link(target: Path) -> None:
    target.symlink_to(target.parent)


def make_other_scan(target: Path) -> None:
    target.mkdir()
    (target / "params.json").write_text('{"scan": "Star-7"}')


def make_broken_folder(target: Path) -> None:
    target.mkdir()
    (target / "params.json").write_text("{")


@pytest.mark.parametrize("make", [make_products, make_file, make_link, make_other_scan, make_broken_folder])
def test_anything_else_in_its_place_is_not_replaced(tmp_path, make) -> None:
    make(tmp_path / "star-7")
    before = {path.name: path.lstat().st_mtime_ns for path in tmp_path.iterdir()}
    with pytest.raises(Refused, match=r"star-7 is not an older folder of scan 'star-7'"):
        replace_folder(tmp_path, "scan", NAME, files(), KNOWN)
    assert {p.name: p.lstat().st_mtime_ns for p in tmp_path.iterdir() if p.name != ".lock"} == before


def test_at_every_step_there_is_a_complete_folder_or_none(tmp_path) -> None:
    """Observed whenever Python is about to open, rename or remove anything."""
    replace_folder(tmp_path, "scan", NAME, WITH_FRC, KNOWN)
    seen: list[dict[str, bytes]] = []
    looking = True

    def look(event: str, _: object) -> None:
        nonlocal looking
        if looking and event in {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}:
            looking = False  # what follows is an event, too
            seen.append(contents(tmp_path / "star-7"))
            looking = True

    sys.addaudithook(look)
    new = files(metrics=b"new")
    replace_folder(tmp_path, "scan", NAME, new, KNOWN)
    looking = False
    assert len(seen) > len(ALWAYS)
    assert [found for found in seen if found not in ({}, new, WITH_FRC)] == []
    assert seen[0] == WITH_FRC
    assert seen[-1] == new
    assert seen.count({}) <= 2


def test_several_writers_at_once_leave_one_complete_folder(tmp_path) -> None:
    with ThreadPoolExecutor(3) as writers:
        list(writers.map(lambda n: replace_folder(tmp_path, "scan", NAME, files(metrics=b"%d" % n), KNOWN), range(3)))
    assert contents(tmp_path / "star-7").keys() == ALWAYS
    assert {path.name for path in tmp_path.iterdir()} == {"star-7", ".lock"}
