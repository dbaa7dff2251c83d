"""``smalti product``: the flags people know, the exit codes scripts rely on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from smalti.cli.product import app
from smalti.products import read_product


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    np.savez(
        tmp_path / "scan.npz",
        diffraction=np.ones((3, 8, 8), np.float32),
        probeGuess=np.ones((8, 8), np.complex64),
        objectGuess=np.ones((30, 30), np.complex64),
        xcoords=[10.0, 14.0, 18.0],
        ycoords=[10.0, 14.0, 18.0],
    )
    return tmp_path / "scan.npz"


def export(npz: Path, *flags: str, output: str = "out/p.h5"):
    arguments = ["export", "--input-npz", str(npz), "--output-product", str(npz.parent / output), *flags]
    return CliRunner().invoke(app, arguments)


def test_every_flag_reaches_the_product(npz: Path) -> None:
    numbers = {
        "--detector-distance-m": "1.5",
        "--probe-energy-eV": "8000",
        "--exposure-time-s": "0.1",
        "--probe-photon-count": "1e6",
        "--mass-attenuation-m2-kg": "0.5",
        "--tomography-angle-deg": "30",
        "--object-pixel-size-m": "2e-8",
        "--probe-pixel-size-m": "3e-8",
        "--object-center-x-m": "-1e-6",
        "--object-center-y-m": "2e-6",
    }
    words = [word for pair in numbers.items() for word in pair]
    result = export(npz, "--name", "n", "--comments", "c", "--include-diffraction", *words)
    path = npz.parent / "out" / "p.h5"
    assert (result.exit_code, result.stdout) == (0, f"{path}\n"), result.stderr
    metadata = read_product(path).metadata
    assert (metadata.name, metadata.comments.split("\n")[0]) == ("n", "c")
    assert [
        metadata.detector_object_distance_m,
        metadata.photon_energy_eV,
        metadata.exposure_time_s,
        metadata.probe_photon_count,
        metadata.mass_attenuation_m2_per_kg,
        metadata.tomography_angle_deg,
        metadata.object_pixel_width_m,
        metadata.probe_pixel_height_m,
        metadata.object_center_x_m,
        metadata.object_center_y_m,
    ] == [float(number) for number in numbers.values()]
    assert "warning: probe.pixel_width_m" in result.stderr


def test_patterns_stay_at_home_on_request(npz: Path) -> None:
    assert export(npz, "--no-include-diffraction").exit_code == 0
    with h5py.File(npz.parent / "out" / "p.h5") as file:
        assert "raw_data" not in file


def test_a_scan_that_cannot_be_converted_is_exit_code_3_and_a_sentence(npz: Path) -> None:
    np.savez(npz, xcoords=[1.0], ycoords=[1.0])
    result = export(npz)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "has no probeGuess and no objectGuess" in result.stderr
    assert export(npz.parent / "absent.npz").exit_code == 3


def test_usage_is_exit_code_2(npz: Path) -> None:
    assert export(npz, output="p.txt").exit_code == 2
    assert export(npz, "--probe-energy-eV", "much").exit_code == 2
    assert CliRunner().invoke(app, ["validate", str(npz.parent / "absent.h5")]).exit_code == 2


def test_json_holds_the_path_and_the_findings(npz: Path) -> None:
    document = json.loads(export(npz, "--json").stdout)
    assert document["product"] == str(npz.parent / "out" / "p.h5")
    assert {finding["code"] for finding in document["findings"]} == {"unknown", "no-losses"}


def test_validate_accepts_what_export_wrote_and_rejects_what_was_broken(npz: Path) -> None:
    export(npz)
    path = npz.parent / "out" / "p.h5"
    sound = CliRunner().invoke(app, ["validate", str(path)])
    assert (sound.exit_code, sound.stdout.splitlines()[-1]) == (0, f"{path}: errors 0, warnings 3")
    with h5py.File(path, "r+") as file:
        file["probe_position_indexes"][:] = 0
    broken = CliRunner().invoke(app, ["validate", str(path)])
    assert broken.exit_code == 1
    assert broken.stdout.startswith("error: probe_position_indexes holds 1 different numbers for 3 positions")
    as_json = CliRunner().invoke(app, ["validate", str(path), "--json"])
    assert (as_json.exit_code, json.loads(as_json.stdout)["findings"][0]["code"]) == (1, "indexes")


def test_validate_rejects_what_is_no_product(npz: Path) -> None:
    result = CliRunner().invoke(app, ["validate", str(npz)])
    assert result.exit_code == 1
    assert "wanted an HDF5 file" in result.stderr


def test_the_command_line_loads_no_heavy_library() -> None:
    code = "import sys, smalti.cli.product; print({'h5py', 'matplotlib', 'mlx'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout == "set()\n"
