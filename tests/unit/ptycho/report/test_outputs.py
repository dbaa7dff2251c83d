"""A folder of outputs is whole or not there, always the same for the same content, and never outside of its place."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan
from smalti.errors import Refused
from smalti.ptycho.evaluate.frc import FrcResult, compare_rings
from smalti.ptycho.report.outputs import unit_of, write_outputs
from smalti.simulation import simulate_scan

ALWAYS = {
    "diffraction.png",
    "history.csv",
    "logs/debug.log",
    "loss.png",
    "metrics.csv",
    "params.json",
    "probe.png",
    "reconstructed_amplitude.png",
    "reconstructed_phase.png",
}


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulate_scan("star-7", positions_per_side=4, window=16)


@pytest.fixture(scope="module")
def made(scan: Scan) -> Reconstruction:
    return Reconstruction(
        object=scan.object_guess,
        probe=scan.probe_guess,
        xcoords=scan.xcoords,
        ycoords=scan.ycoords,
        origin_x=0.0,
        origin_y=0.0,
        loss=np.array([0.5, 0.25, 0.1 + 0.2]),
        metrics={"r_factor": 0.125, "phase_psnr_dB": 38.5},
        config={"solver": "descent", "settings": {"epochs": 3, "seed": 0}, "environment": {"mlx": "0.32"}},
    )


@pytest.fixture(scope="module")
def frc() -> FrcResult:
    first, second = np.random.default_rng(0).normal(size=(2, 32, 32))
    return compare_rings(1 + 0.1j * first, 1 + 0.1j * second, pixel_size_m=1e-8)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(path: Path) -> list[list[str]]:
    return list(csv.reader(path.open(encoding="utf-8")))


def test_everything_a_person_looks_for_is_there(tmp_path, scan, made, frc) -> None:
    folder = write_outputs(tmp_path / "outputs", scan, made, frc, ["epoch ✓", "half \ud800"], {"scan": "sha256:ab"})
    assert folder == tmp_path / "outputs" / "star-7"
    assert contents(folder).keys() == ALWAYS | {"frc.png"}
    assert rows(folder / "metrics.csv")[:3] == [
        ["metric", "value", "unit"],
        ["r_factor", "0.125", "1"],
        ["phase_psnr_dB", "38.5", "dB"],
    ]
    assert ["frc_phase_half_bit_nm", repr(frc.figures()["frc_phase_half_bit_nm"]), "nm"] in rows(folder / "metrics.csv")
    assert rows(folder / "history.csv") == [["epoch", "loss"], ["1", "0.5"], ["2", "0.25"], ["3", repr(0.1 + 0.2)]]
    assert json.loads((folder / "params.json").read_text()) == {
        **made.config,
        "scan": "star-7",
        "digests": {"scan": "sha256:ab"},
    }
    assert (folder / "logs" / "debug.log").read_text() == "epoch ✓\nhalf \\ud800\n"


def test_equal_content_is_equal_bytes_and_pictures_tell_no_time(tmp_path, scan, made, frc) -> None:
    first, second = (contents(write_outputs(tmp_path / place, scan, made, frc)) for place in ("a", "b"))
    assert first == second
    for name in filter(lambda name: name.endswith(".png"), first):
        assert not {b"tIME", b"tEXt", b"zTXt", b"iTXt", b"eXIf"} & set(chunks(first[name]))


def chunks(png: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(png):
        found.append(png[at + 4 : at + 8])
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    return found


def test_an_older_folder_is_replaced_as_a_whole_and_so_is_what_a_killed_writer_left(tmp_path, scan, made, frc) -> None:
    write_outputs(tmp_path, scan, made, frc)
    for left in (".star-7.part", ".star-7.old"):
        (tmp_path / left / "logs").mkdir(parents=True)
        (tmp_path / left / "history.h5").write_text("half")
    folder = write_outputs(tmp_path, scan, replace(made, metrics={"r_factor": 0.5}))
    assert contents(folder).keys() == ALWAYS
    assert len(rows(folder / "metrics.csv")) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"star-7", ".lock"}


@pytest.mark.parametrize("name", ["../../etc/passwd", "", ".a/b\\c", "x" * 400])
def test_a_name_from_outside_is_never_a_path(tmp_path, scan, made, name) -> None:
    named = replace(scan, metadata=scan.metadata.model_copy(update={"name": name}))
    outputs = tmp_path / "here" / "outputs"
    folder = write_outputs(outputs, named, made)
    assert folder.parent == outputs
    assert folder.resolve() == outputs.resolve() / folder.name
    assert not folder.name.startswith(".")
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"outputs"}
    assert json.loads((folder / "params.json").read_text())["scan"] == name


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
def test_what_others_put_there_is_not_replaced(tmp_path, scan, made, make) -> None:
    make(tmp_path / "star-7")
    before = {path.name: path.lstat().st_mtime_ns for path in (tmp_path / "star-7").parent.iterdir()}
    with pytest.raises(Refused, match=r"star-7 is not an older folder of scan 'star-7'"):
        write_outputs(tmp_path, scan, made)
    assert {p.name: p.lstat().st_mtime_ns for p in tmp_path.iterdir() if p.name != ".lock"} == before


def test_at_every_step_there_is_a_whole_folder_or_none(tmp_path, scan, made, frc) -> None:
    """Looked at whenever Python is about to open, rename or remove anything."""
    write_outputs(tmp_path, scan, made, frc)
    seen: list[set[str]] = []
    looking = True

    def look(event: str, _: object) -> None:
        nonlocal looking
        if looking and event in {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}:
            looking = False  # what follows is an event, too
            seen.append(contents(tmp_path / "star-7").keys())
            looking = True

    sys.addaudithook(look)
    write_outputs(tmp_path, scan, made)
    looking = False
    assert len(seen) > len(ALWAYS)
    assert [files for files in seen if files not in (set(), ALWAYS, ALWAYS | {"frc.png"})] == []
    assert seen[0] == ALWAYS | {"frc.png"}
    assert seen[-1] == ALWAYS
    assert seen.count(set()) <= 2


def test_several_who_write_at_once_leave_one_whole_folder(tmp_path, scan, made) -> None:
    with ThreadPoolExecutor(3) as writers:
        list(writers.map(lambda _: write_outputs(tmp_path, scan, made), range(3)))
    assert contents(tmp_path / "star-7").keys() == ALWAYS
    assert {path.name for path in tmp_path.iterdir()} == {"star-7", ".lock"}


@pytest.mark.parametrize(
    ("figure", "unit"),
    [("amplitude_ssim", "1"), ("amplitude_psnr_dB", "dB"), ("frc_complex_seventh", "Nyquist"), ("cpu_s", "s")],
)
def test_a_figure_has_the_unit_of_its_name(figure, unit) -> None:
    assert unit_of(figure) == unit


def test_outputs_are_written_without_mlx_and_without_pyplot() -> None:
    code = (
        "import sys; import smalti.ptycho.report.outputs, smalti.ptycho.evaluate.split_halves;"
        "print(sorted({'mlx', 'matplotlib', 'skimage', 'h5py'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout == "[]\n"
