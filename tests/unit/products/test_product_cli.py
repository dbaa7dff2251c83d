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

from smalti import open_store
from smalti.cli.product import app
from smalti.codecs.product import Product
from smalti.products import read_product, validate_product, write_product

AMPLITUDES = np.zeros((3, 8, 8), np.float32)
AMPLITUDES[:, 3:6, 3:6] = 1


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    np.savez(
        tmp_path / "scan.npz",
        diffraction=AMPLITUDES,
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
    assert "warning: probe_pixel_width_m: found 3e-08 m, wanted 2e-08 m, the object's" in result.stderr


def test_patterns_stay_at_home_on_request(npz: Path) -> None:
    assert export(npz, "--no-include-diffraction").exit_code == 0
    with h5py.File(npz.parent / "out" / "p.h5") as file:
        assert "raw_data" not in file


def test_patterns_that_stay_at_home_need_not_be_in_the_file(npz: Path) -> None:
    export(npz, "--no-include-diffraction")
    with_them = (npz.parent / "out" / "p.h5").read_bytes()
    with np.load(npz) as file:
        arrays = {name: array for name, array in file.items() if name != "diffraction"}
    np.savez(npz, **arrays)
    result = export(npz, "--no-include-diffraction")
    assert result.exit_code == 0, result.stderr
    assert (npz.parent / "out" / "p.h5").read_bytes() == with_them
    assert export(npz).exit_code == 3


def test_a_scan_that_cannot_be_converted_is_exit_code_3_and_a_sentence(npz: Path) -> None:
    np.savez(npz, diffraction=AMPLITUDES, xcoords=[10.0, 14.0, 18.0], ycoords=[10.0, 14.0, 18.0])
    result = export(npz)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "scan.npz: probeGuess: found the arrays diffraction, xcoords, ycoords, wanted probeGuess" in result.stderr
    np.savez(npz, xcoords=[1.0], ycoords=[1.0])
    assert "scan.npz: diffraction: found the arrays xcoords, ycoords" in export(npz).stderr
    assert export(npz.parent / "absent.npz").exit_code == 3


def test_the_card_beside_a_scan_is_read_and_an_option_replaces_it(npz: Path) -> None:
    with np.load(npz) as file:
        arrays = dict(file)
    np.savez(npz, **{**arrays, "xcoords": arrays["xcoords"] * 5e-8, "ycoords": arrays["ycoords"] * 5e-8})
    npz.with_name("scan.npz.card.yaml").write_text(
        "{name: star, source: a beamline, version: '1', licence: CC0-1.0,"
        " reading: {positions: {xcoords: xcoords, ycoords: ycoords, unit: m}},"
        " physics: {object_pixel_size_m: {value: 5.0e-8}, photon_energy_eV: {value: 8000}}}"
    )
    assert export(npz).exit_code == 0
    product = read_product(npz.parent / "out" / "p.h5")
    np.testing.assert_allclose(product.probe_position_x_m, arrays["xcoords"] * 5e-8, rtol=1e-12)
    assert (product.metadata.photon_energy_eV, product.metadata.name) == (8000, "star")
    replaced = export(npz, "--probe-energy-eV", "8800", "--name", "mine")
    assert "warning: photon_energy_eV: found 8000 for the scan and 8800 for this product" in replaced.stderr
    metadata = read_product(npz.parent / "out" / "p.h5").metadata
    assert (metadata.photon_energy_eV, metadata.name) == (8800, "mine")
    with np.load(npz) as file:
        in_metres = file["xcoords"]
    assert "object_pixel_size_m: found 5e-08 for the scan" in export(npz, "--object-pixel-size-m", "4e-8").stderr
    product = read_product(npz.parent / "out" / "p.h5")
    np.testing.assert_allclose(product.probe_position_x_m, in_metres, rtol=1e-12)


def test_usage_is_exit_code_2(npz: Path) -> None:
    assert export(npz, output="p.txt").exit_code == 2
    assert export(npz, "--probe-energy-eV", "much").exit_code == 2
    assert CliRunner().invoke(app, ["validate", str(npz.parent / "absent.h5")]).exit_code == 2


def test_json_holds_the_path_and_the_violations(npz: Path) -> None:
    document = json.loads(export(npz, "--json").stdout)
    assert document["product"] == str(npz.parent / "out" / "p.h5")
    assert {violation["code"] for violation in document["violations"]} == {
        "physics.pixel_size",
        "product.unknown",
        "losses.none",
    }


def test_validate_accepts_what_export_wrote_and_rejects_what_was_broken(npz: Path) -> None:
    export(npz)
    path = npz.parent / "out" / "p.h5"
    sound = CliRunner().invoke(app, ["validate", str(path)])
    assert (sound.exit_code, sound.stdout.splitlines()[-1]) == (0, f"{path}: errors 0, warnings 3")
    with h5py.File(path, "r+") as file:
        file["probe_position_indexes"][:] = 0
    broken = CliRunner().invoke(app, ["validate", str(path)])
    assert broken.exit_code == 1
    assert broken.stdout.startswith("error: probe_position_indexes: found 2 of 3 values that repeat another")
    as_json = CliRunner().invoke(app, ["validate", str(path), "--json"])
    assert (as_json.exit_code, json.loads(as_json.stdout)["violations"][0]["code"]) == (
        1,
        "probe_position_indexes.repeated",
    )


def test_validate_rejects_what_is_no_product(npz: Path) -> None:
    scan = CliRunner().invoke(app, ["validate", str(npz)])
    assert scan.exit_code == 1
    assert "error: the file: found none of the arrays of a product, wanted probe_position_indexes" in scan.stdout
    array = npz.with_name("array.npy")
    np.save(array, np.ones(3))
    result = CliRunner().invoke(app, ["validate", str(array)])
    assert result.exit_code == 1
    assert "error: the file: found a file in the form npy, wanted a product as HDF5 or NPZ" in result.stdout


def imported(product: Path, *flags: str):
    return CliRunner().invoke(app, ["import", str(product), *flags])


@pytest.mark.parametrize("form", [".h5", ".hdf5", ".npz"])
def test_a_scan_exported_is_imported_as_it_was(npz: Path, form: str) -> None:
    numbers = ("--object-pixel-size-m", "3e-8", "--object-center-x-m", "1e-3", "--probe-energy-eV", "8000")
    assert export(npz, *numbers, output=f"p{form}").exit_code == 0
    result = imported(npz.parent / f"p{form}", "--output-npz", str(npz.parent / "back.npz"))
    assert (result.exit_code, result.stdout) == (0, f"{npz.parent / 'back.npz'}\n"), result.stderr
    assert "warning: detector_object_distance_m: found 0, which says unknown" in result.stderr
    with np.load(npz) as before, np.load(npz.parent / "back.npz") as after:
        assert set(after) == {*before, "scan_index"}
        for key in before:
            np.testing.assert_array_equal(after[key], before[key], err_msg=key)


@pytest.mark.parametrize("form", [".h5", ".npz"])
def test_the_store_keeps_all_of_a_product(npz: Path, product: Product, form: str) -> None:
    path, place = npz.parent / f"p{form}", str(npz.parent / "store")
    write_product(path, product)
    result = imported(path, "--store", place, "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert (document["npz"], list(document["stored"]), document["violations"]) == (None, ["product/p"], [])
    stored = open_store(place).get("product/p")
    assert stored.metadata == product.metadata
    assert stored.contract == "product/2"
    np.testing.assert_array_equal(stored.opr_weights, product.opr_weights)
    np.testing.assert_array_equal(stored.probe_photon_counts, product.probe_photon_counts)
    write_product(npz.parent / f"again{form}", stored)
    assert (npz.parent / f"again{form}").read_bytes() == path.read_bytes()


def test_the_store_keeps_the_patterns_beside_the_product(npz: Path) -> None:
    export(npz)
    path, place = npz.parent / "out" / "p.h5", str(npz.parent / "store")
    flags = ("--store", place, "--name", "star", "--output-npz", str(npz.parent / "back.npz"))
    result = imported(path, *flags)
    assert [line.split()[-1] for line in result.stdout.splitlines()] == [flags[-1], "star", "star/raw_data"]
    store = open_store(place)
    np.testing.assert_array_equal(store.get("star/raw_data")["diffraction"], AMPLITUDES)
    np.testing.assert_array_equal(store.get("star").patterns.diffraction, AMPLITUDES)
    assert store.open("star/raw_data").attrs == {"unit": "amplitude", "original_axis_order": "NHW"}


def test_what_an_npz_cannot_tell_is_refused_and_nothing_is_written(npz: Path, product: Product) -> None:
    write_product(npz.parent / "p.h5", product)
    result = imported(npz.parent / "p.h5", "--output-npz", str(npz.parent / "back.npz"))
    assert (result.exit_code, result.stdout) == (3, "")
    assert "2 object layers and 2 coherent probe modes, and a scan holds one of each; keep it whole" in result.stderr
    assert not (npz.parent / "back.npz").exists()
    broken = imported(npz, "--output-npz", str(npz.parent / "back.npz"))
    assert broken.exit_code == 3
    assert "found none of the arrays of a product, wanted probe_position_indexes" in broken.stderr
    assert imported(npz.parent / "p.h5", "--output-npz", "back.txt").exit_code == 2
    assert imported(npz.parent / "absent.h5").exit_code == 2


def test_a_broken_frame_is_told_and_imported_all_the_same(npz: Path) -> None:
    export(npz)
    path = npz.parent / "out" / "p.h5"
    with h5py.File(path, "r+") as file:  # as PtychoPINN leaves it
        file["object"].attrs["center_x_m"] = file["object"].attrs["center_y_m"] = 0.0
        file["probe_position_indexes"][:] = 0
    result = imported(path, "--output-npz", str(npz.parent / "back.npz"), "--store", str(npz.parent / "store"))
    assert result.exit_code == 0
    assert open_store(str(npz.parent / "store")).get("product/p").contract == ""
    assert "error: probe_position_indexes: found 2 of 3 values that repeat another" in result.stderr
    with np.load(npz.parent / "back.npz") as after:
        np.testing.assert_allclose(after["xcoords"], [10.0, 14.0, 18.0])


def test_an_npz_product_is_validated_like_an_hdf5_one(npz: Path) -> None:
    export(npz, output="p.npz")
    path = npz.parent / "p.npz"
    result = CliRunner().invoke(app, ["validate", str(path), "--json"])
    assert result.exit_code == 0
    assert [violation["code"] for violation in json.loads(result.stdout)["violations"]] == [
        violation.code for violation in validate_product(path).violations
    ]


def test_the_command_line_loads_no_heavy_library() -> None:
    code = "import sys, smalti.cli.product; print({'h5py', 'matplotlib', 'mlx'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout == "set()\n"
