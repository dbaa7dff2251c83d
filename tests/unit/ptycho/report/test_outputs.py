"""Laws of the outputs: every file is there with its content, and equal content is equal bytes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan
from smalti.outputs.folder import read_contents
from smalti.outputs.parts import Part
from smalti.ptycho.evaluate.frc import FrcResult, compute_frc
from smalti.ptycho.report.outputs import (
    FILES,
    RECONSTRUCTION,
    SCAN,
    arrays_digest,
    product_part,
    reconstruction_part,
    resolution_part,
    resolution_text,
    scan_part,
    unit_of,
    write_outputs,
    write_scan_parts,
)
from smalti.simulation import simulate_scan

ALWAYS = {
    ".parts.json",
    "thumbnails/reconstruction.webp",
    "thumbnails/scan.webp",
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
        config={"solver": "gradient descent", "settings": {"epochs": 3, "seed": 0}, "environment": {"mlx": "0.32"}},
    )


@pytest.fixture(scope="module")
def frc() -> FrcResult:
    first, second = np.random.default_rng(0).normal(size=(2, 32, 32))
    return compute_frc(1 + 0.1j * first, 1 + 0.1j * second, pixel_size_m=1e-8)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(path: Path) -> list[list[str]]:
    return list(csv.reader(path.open(encoding="utf-8")))


def test_every_output_is_written_with_its_content(tmp_path, scan, made, frc) -> None:
    folder = write_outputs(tmp_path / "outputs", scan, made, frc, ["epoch ✓", "half \ud800"], {"scan": "sha256:ab"})
    assert folder == tmp_path / "outputs" / "star-7"
    assert contents(folder).keys() == ALWAYS | {"frc.png", "thumbnails/resolution.svg"}
    assert rows(folder / "metrics.csv")[:3] == [
        ["metric", "value", "unit"],
        ["r_factor", "0.125", "1"],
        ["phase_psnr_dB", "38.5", "dB"],
    ]
    assert ["frc_phase_half_bit_nm", repr(frc.metrics()["frc_phase_half_bit_nm"]), "nm"] in rows(folder / "metrics.csv")
    assert rows(folder / "history.csv") == [["epoch", "loss"], ["1", "0.5"], ["2", "0.25"], ["3", repr(0.1 + 0.2)]]
    found = read_contents(folder)
    assert found is not None
    assert json.loads((folder / "params.json").read_text()) == {
        **made.config,
        "scan": "star-7",
        "digests": {"scan": "sha256:ab"},
    }
    assert found.parts[SCAN].digest == "sha256:ab"
    assert (folder / "logs" / "debug.log").read_text() == "epoch ✓\nhalf \\ud800\n"
    assert {path.name for path in folder.iterdir()} == FILES - {"older"}


def test_equal_content_is_equal_bytes_and_pictures_have_no_metadata(scan, made, frc) -> None:
    first, second = (
        {**scan_part(scan).files, **reconstruction_part(scan, made).files, **resolution_part(frc).files}
        for _ in range(2)
    )
    assert first == second
    for name in filter(lambda name: name.endswith(".png"), first):
        assert not {b"tIME", b"tEXt", b"zTXt", b"iTXt", b"eXIf"} & set(chunks(first[name]))


def chunks(png: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(png):
        found.append(png[at + 4 : at + 8])
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    return found


@pytest.mark.parametrize(
    ("metric", "unit"),
    [("amplitude_ssim", "1"), ("amplitude_psnr_dB", "dB"), ("frc_complex_seventh", "Nyquist"), ("cpu_s", "s")],
)
def test_a_metric_has_the_unit_of_its_name(metric, unit) -> None:
    assert unit_of(metric) == unit


def test_outputs_are_written_without_mlx_and_without_pyplot() -> None:
    code = (
        "import sys; import smalti.ptycho.report.outputs, smalti.ptycho.evaluate.split_halves;"
        "print(sorted({'mlx', 'matplotlib', 'skimage', 'h5py'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout == "[]\n"


@pytest.fixture(scope="module")
def parts(scan: Scan, made: Reconstruction, frc: FrcResult) -> tuple[Part, Part, Part]:
    """A scan, its reconstruction and its resolution."""
    solved = reconstruction_part(scan, made, "r", {SCAN: "s"}, ["solved"])
    return scan_part(scan, "s"), solved, resolution_part(frc, "f", {SCAN: "s", RECONSTRUCTION: "r"}, ["halves"])


def test_solving_a_scan_again_with_equal_outcome_keeps_its_resolution(tmp_path, parts) -> None:
    for part in parts:
        folder = write_scan_parts(tmp_path, "run", [part])
    before = contents(folder)
    assert write_scan_parts(tmp_path, "run", parts[:2]) == folder
    assert contents(folder) == before
    assert "frc_phase_half_bit" in (folder / "metrics.csv").read_text()
    assert (folder / "logs" / "debug.log").read_text() == "solved\nhalves\n"


def test_a_new_reconstruction_is_not_shown_beside_the_resolution_of_the_old_one(tmp_path, parts) -> None:
    write_scan_parts(tmp_path, "run", parts)
    folder = write_scan_parts(tmp_path, "run", [replace(parts[1], digest="r2", version="r2")])
    assert not (folder / "frc.png").exists()
    assert (folder / "older" / "frc.png").is_file()
    assert "frc_" not in (folder / "metrics.csv").read_text()
    assert "frc_" in (folder / "older" / "metrics.csv").read_text()


def test_a_scan_of_which_only_the_card_changed_keeps_its_reconstruction(tmp_path, parts) -> None:
    arrays = arrays_digest({"diffraction": "sha256:aa"})
    scanned, solved = replace(parts[0], version=arrays), replace(parts[1], versions={SCAN: arrays})
    write_scan_parts(tmp_path, "run", [scanned, solved])
    folder = write_scan_parts(tmp_path, "run", [replace(scanned, digest="s2")])
    assert (folder / "loss.png").is_file()
    assert arrays != arrays_digest({"diffraction": "sha256:ab"})


def test_the_resolution_is_said_in_three_digits_and_never_better_than_it_was_measured(frc) -> None:
    always = FrcResult(frc.frequency, np.ones_like(frc.phase), frc.complex, frc.pixels, 1e-8)
    assert resolution_text(always) == "at most 10 nm"
    assert resolution_text(replace(always, pixel_size_m=None)) == "at least 1 of Nyquist"
    assert resolution_text(frc).endswith(" nm")


def test_a_product_that_arrived_is_seen_and_one_that_was_made_is_linked(scan) -> None:
    arrived = product_part("ptychodus_products/a.h5", object_=scan.object_guess, pixel_size_m=1.3e-8)
    assert arrived.card.figures == (("pixel", "13 nm"),)
    assert arrived.card.thumbnail in arrived.files
    assert product_part("ptychodus_products/a.h5").card.links == (("product", "ptychodus_products/a.h5"),)
