"""An NPZ scan becomes a sound product and comes back; nothing is made up, nothing unpickled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalti.codecs.product import Product
from smalti.errors import NotFound, Refused
from smalti.products import (
    ExportMeta,
    export_npz,
    export_product_from_rawdata,
    import_product,
    import_product_to_rawdata,
    read_product,
    read_raw_bundle,
    validate_product,
    write_product,
    write_rawdata_npz,
)

Arrays = dict[str, Any]
KNOWN = ExportMeta(name="run", detector_distance_m=2.0, probe_energy_eV=8000.0, object_pixel_width_m=4e-8,
                   object_pixel_height_m=4e-8)  # fmt: skip


@pytest.fixture
def arrays() -> Arrays:
    random = np.random.default_rng(3)
    return {
        "diffraction": random.poisson(3, (5, 16, 16)).astype(np.uint16),
        "probeGuess": np.ones((16, 16), np.complex64),
        "objectGuess": np.ones((60, 70), np.complex64),
        "xcoords": random.uniform(10, 58, 5),
        "ycoords": random.uniform(10, 48, 5),
        "scan_index": np.zeros(5, np.int64),
    }


@pytest.fixture
def convert(tmp_path: Path, arrays: Arrays) -> Callable[..., tuple[Any, Path]]:
    def run(meta: ExportMeta = KNOWN, include: bool = True) -> tuple[Any, Path]:
        np.savez(tmp_path / "scan.npz", **arrays)
        return export_npz(tmp_path / "scan.npz", tmp_path / "p.h5", meta, include), tmp_path / "p.h5"

    return run


def test_a_conversion_warns_of_missing_losses_only(convert: Callable[..., tuple[Any, Path]]) -> None:
    found, path = convert()
    assert [finding.code for finding in found] == ["no-losses"]
    assert validate_product(path) == found


def test_a_scan_converted_comes_back_as_it_was(convert: Callable[..., tuple[Any, Path]], arrays: Arrays) -> None:
    raw = import_product_to_rawdata(convert()[1])
    np.testing.assert_allclose(raw.xcoords, arrays["xcoords"], atol=1e-10)
    np.testing.assert_allclose(raw.ycoords, arrays["ycoords"], atol=1e-10)
    np.testing.assert_array_equal(raw.diff3d, arrays["diffraction"])
    np.testing.assert_array_equal(raw.probeGuess, arrays["probeGuess"])
    np.testing.assert_array_equal(raw.objectGuess, arrays["objectGuess"])


def test_positions_in_metres_are_pixels_times_pixel_size_when_no_centre_is_given(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays
) -> None:
    product = read_product(convert()[1])
    np.testing.assert_allclose(product.probe_position_x_m, arrays["xcoords"] * 4e-8, rtol=1e-12)
    assert product.metadata.object_center_x_m == pytest.approx(34.5 * 4e-8)


def test_a_given_centre_moves_the_world_and_not_the_scan_in_its_object(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays
) -> None:
    _, path = convert(ExportMeta(object_center_x_m=0.0, object_center_y_m=-3e-6))
    assert read_product(path).metadata.object_center_y_m == -3e-6
    np.testing.assert_allclose(import_product_to_rawdata(path).xcoords, arrays["xcoords"], atol=1e-9)
    assert not [finding for finding in validate_product(path) if finding.severity == "error"]


def test_the_probe_pixel_follows_the_object_and_a_different_one_is_a_warning(
    convert: Callable[..., tuple[Any, Path]],
) -> None:
    assert read_product(convert()[1]).metadata.probe_pixel_width_m == 4e-8
    found, _ = convert(ExportMeta(probe_pixel_width_m=1.25e-7, probe_pixel_height_m=1.25e-7))
    assert "pixel-mismatch" in {finding.code for finding in found}


def test_what_nobody_said_is_unknown_and_what_was_assumed_is_noted(convert: Callable[..., tuple[Any, Path]]) -> None:
    _, path = convert(ExportMeta(comments="mine", detector_distance_m=0.0))
    metadata = read_product(path).metadata
    assert (metadata.detector_object_distance_m, metadata.photon_energy_eV) == (None, None)
    assert metadata.comments.split("\n")[:3] == [
        "mine",
        "ASSUMED: object pixel size 5e-08 m.",
        "ASSUMED: pattern numbers 0, 1, 2, ..., because scan_index repeats.",
    ]
    assert "UNKNOWN, written as 0: detector_object_distance_m, photon_energy_eV," in metadata.comments


def test_a_unique_scan_index_is_kept(convert: Callable[..., tuple[Any, Path]], arrays: Arrays) -> None:
    arrays["scan_index"] = np.array([4, 3, 2, 1, 0])
    assert read_product(convert()[1]).probe_position_indexes.tolist() == [4, 3, 2, 1, 0]


def test_bad_pixels_travel_with_the_patterns(convert: Callable[..., tuple[Any, Path]], arrays: Arrays) -> None:
    arrays["bad_pixels"] = np.eye(16, dtype="u1")
    raw = import_product_to_rawdata(convert()[1])
    assert raw.bad_pixels is not None
    assert raw.bad_pixels.dtype == bool
    np.testing.assert_array_equal(raw.bad_pixels, np.eye(16, dtype=bool))


def test_patterns_travel_with_their_unit_or_stay_at_home(convert: Callable[..., tuple[Any, Path]]) -> None:
    with h5py.File(convert()[1]) as file:
        assert file["raw_data/diffraction"].attrs["unit"] == "counts"
        assert file["raw_data/diffraction"].dtype == np.uint16
    assert read_raw_bundle(convert(include=False)[1]) is None


@pytest.mark.parametrize(("axis", "order"), [(-1, "HWN"), (1, "HNW")])
def test_legacy_axes_are_brought_to_n_h_w_and_recorded(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays, axis: int, order: str
) -> None:
    wanted = arrays.pop("diffraction")
    arrays["diff3d"] = np.moveaxis(wanted, 0, axis)
    bundle = read_raw_bundle(convert()[1])
    assert bundle is not None
    assert bundle.original_axis_order == order
    np.testing.assert_array_equal(bundle.diffraction, wanted)


@pytest.mark.parametrize("key", ["objectGuess", "probeGuess", "xcoords", "ycoords", "diffraction"])
def test_a_missing_key_is_refused_by_name(convert: Callable[..., tuple[Any, Path]], arrays: Arrays, key: str) -> None:
    del arrays[key]
    with pytest.raises(Refused, match=rf"scan.npz has no {key}"):
        convert()


def test_patterns_are_not_wanted_when_they_stay_at_home(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays
) -> None:
    del arrays["diffraction"]
    assert convert(include=False)[1].exists()


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("diff3d", np.ones((5, 16, 16)), "has diffraction and diff3d, and they differ"),
        ("diffraction", np.ones((4, 16, 16)), r"patterns of shape \(4, 16, 16\) for 5 positions"),
        ("probeGuess", np.ones((16, 16, 1), complex), "probe of"),
        ("probeGuess", np.ones((16, 16)), "probe holds float64; wanted: complex numbers"),
        ("objectGuess", np.ones((1, 60, 70), complex), r"objectGuess \(1, 60, 70\)"),
        ("xcoords", np.ones(4), r"xcoords \(4,\)"),
        ("xcoords", np.full(5, np.nan), "NaN or infinity"),
        ("xcoords", np.full(5, 5e-6 * 1e9), "object of 70 px"),
        ("scan_index", np.zeros(5), "scan_index float64"),
        ("bad_pixels", np.full((16, 16), 2), "bad_pixels int64"),
        ("bad_pixels", np.zeros((5, 16, 16), bool), r"bad_pixels bool \(5, 16, 16\)"),
        ("xcoords", np.array([{}], dtype=object), "pickle"),
    ],
)
def test_what_does_not_fit_is_refused(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays, key: str, value: np.ndarray, sentence: str
) -> None:
    arrays[key] = value
    with pytest.raises(Refused, match=sentence):
        convert()


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"absent\.npz"):
        export_npz(tmp_path / "absent.npz", tmp_path / "p.h5")
    (tmp_path / "text.npz").write_text("no NPZ")
    np.save(tmp_path / "array.npy", np.ones(3))
    for name, says in (("text.npz", r"an \.npz archive"), ("array.npy", "has no xcoords")):
        with pytest.raises(Refused, match=says):
            export_npz(tmp_path / name, tmp_path / "p.h5")


def test_layers_and_coherent_modes_do_not_fit_a_scan(tmp_path: Path, product: Product) -> None:
    write_product(tmp_path / "p.h5", product)
    with pytest.raises(Refused, match="2 object layers and 2 coherent probe modes"):
        import_product_to_rawdata(tmp_path / "p.h5")


@pytest.mark.parametrize("include", [True, False])
def test_raw_data_comes_back_whether_or_not_its_patterns_travelled(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays, include: bool
) -> None:
    arrays["scan_index"] = np.array([4, 3, 2, 1, 0])
    _, path = convert(include=include)
    whole = import_product(path)
    raw = whole.rawdata()
    assert (whole.patterns is None) == (raw.diff3d is None) == (not include)
    np.testing.assert_allclose(raw.ycoords, arrays["ycoords"], atol=1e-10)
    np.testing.assert_array_equal(raw.scan_index, arrays["scan_index"])
    export_product_from_rawdata(raw=raw, out_path=path.with_name("again.h5"), meta=KNOWN, include_raw=include)
    again = read_product(path.with_name("again.h5"))
    np.testing.assert_allclose(again.probe_position_x_m, whole.product.probe_position_x_m, rtol=1e-12)


def test_modes_come_back_as_modes(convert: Callable[..., tuple[Any, Path]], arrays: Arrays, tmp_path: Path) -> None:
    arrays["probeGuess"] = np.ones((3, 16, 16), np.complex64)
    raw = import_product_to_rawdata(convert()[1])
    assert raw.probeGuess.shape == (3, 16, 16)
    write_rawdata_npz(tmp_path / "back.npz", raw)
    write_rawdata_npz(tmp_path / "again.npz", raw)
    assert (tmp_path / "back.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    with pytest.raises(Refused, match=r"back\.h5 would be no NPZ file"):
        write_rawdata_npz(tmp_path / "back.h5", raw)


@pytest.mark.parametrize(
    ("patterns", "unit"),
    [
        (np.full((5, 16, 16), 400.0), "counts"),
        (np.sqrt(np.full((5, 16, 16), 397.0, np.float32)), "amplitude"),
        (np.full((5, 16, 16), 0.3), "amplitude"),
        (np.full((5, 16, 16), 700.3), "unknown"),
    ],
)
def test_the_unit_of_patterns_follows_from_their_values(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays, patterns: np.ndarray, unit: str
) -> None:
    arrays["diffraction"] = patterns
    bundle = read_raw_bundle(convert()[1])
    assert bundle is not None
    assert bundle.unit == unit
