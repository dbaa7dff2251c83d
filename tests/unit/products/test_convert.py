"""A scan file becomes a sound product and comes back; it is read as every other door reads it, nothing is made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalti.codecs.product import Product
from smalti.errors import ContractBroken, NotFound, Refused
from smalti.products import (
    ExportMeta,
    RawData,
    export_npz,
    export_product_from_rawdata,
    export_scan,
    import_product,
    import_product_to_rawdata,
    read_product,
    read_raw_bundle,
    validate_product,
    write_product,
    write_rawdata_npz,
)
from smalti.scans import read_scan

Arrays = dict[str, Any]
KNOWN = ExportMeta(name="run", detector_distance_m=2.0, probe_energy_eV=8000.0, object_pixel_width_m=4e-8,
                   object_pixel_height_m=4e-8)  # fmt: skip


def in_metres(arrays: Arrays, pixel_m: float, **physics: float) -> dict[str, Any]:
    """Bring the positions to metres, and return the card that says so."""
    for key in ("xcoords", "ycoords"):
        arrays[key] = arrays[key] * pixel_m
    return {
        "reading": {"positions": {"xcoords": "xcoords", "ycoords": "ycoords", "unit": "m"}},
        "physics": {name: {"value": value} for name, value in physics.items()},
    }


def test_a_conversion_warns_of_missing_losses_and_repeated_numbers_only(
    convert: Callable[..., tuple[Any, Path]],
) -> None:
    found, path = convert()
    assert [(v.code, v.severity) for v in found] == [("scan_index.repeated", "warning"), ("losses.none", "warning")]
    assert validate_product(path).violations == found[1:]


def test_a_scan_converted_comes_back_as_the_scan_that_every_reader_sees(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays
) -> None:
    _, path = convert()
    raw, scan = import_product_to_rawdata(path), read_scan(path.with_name("scan.npz"))
    np.testing.assert_allclose(raw.xcoords, arrays["xcoords"], atol=1e-10)
    np.testing.assert_allclose(raw.ycoords, arrays["ycoords"], atol=1e-10)
    np.testing.assert_array_equal(raw.diff3d, scan.diffraction)
    np.testing.assert_allclose(np.square(raw.diff3d), arrays["diffraction"], rtol=1e-6)
    np.testing.assert_array_equal(raw.probeGuess, arrays["probeGuess"])
    np.testing.assert_array_equal(raw.objectGuess, arrays["objectGuess"])


def test_a_unique_scan_index_is_kept(convert: Callable[..., tuple[Any, Path]], arrays: Arrays) -> None:
    arrays["scan_index"] = np.array([4, 3, 2, 1, 0])
    assert read_product(convert()[1]).probe_position_indexes.tolist() == [4, 3, 2, 1, 0]


def test_bad_pixels_travel_with_the_patterns_and_what_is_there_is_0(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays
) -> None:
    bad = np.eye(16, dtype=bool)
    arrays["bad_pixels"] = bad.astype("u1")
    arrays["diffraction"] = np.where(bad, np.nan, arrays["diffraction"].astype("f4"))
    raw = import_product_to_rawdata(convert()[1])
    np.testing.assert_array_equal(raw.bad_pixels, bad)
    assert raw.bad_pixels is not None
    assert raw.bad_pixels.dtype == bool
    assert not np.asarray(raw.diff3d)[:, bad].any()


def test_columns_and_legacy_axes_are_read_as_every_other_door_reads_them(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays
) -> None:
    usual = convert()[1].read_bytes()
    arrays["diff3d"] = np.moveaxis(arrays.pop("diffraction"), 0, -1)
    arrays["xcoords"], arrays["ycoords"] = arrays["xcoords"][:, None], arrays["ycoords"][None]
    _, path = convert()
    assert "CONVERTED: diffraction: last axis moved to the front" in read_product(path).metadata.comments
    legacy = import_product(path)
    path.with_name("usual.h5").write_bytes(usual)
    np.testing.assert_array_equal(
        legacy.product.probe_position_y_m, read_product(path.with_name("usual.h5")).probe_position_y_m
    )
    assert legacy.patterns is not None
    bundle = read_raw_bundle(path.with_name("usual.h5"))
    assert bundle is not None
    np.testing.assert_array_equal(legacy.patterns.diffraction, bundle.diffraction)


def test_patterns_counted_by_the_middle_axis_are_the_same_patterns(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays
) -> None:
    usual = import_product(convert()[1])
    arrays["diffraction"] = np.moveaxis(arrays["diffraction"], 0, 1)
    _, path = convert()
    assert "CONVERTED: diffraction: middle axis moved to the front" in read_product(path).metadata.comments
    assert usual.patterns is not None
    np.testing.assert_array_equal(import_product_to_rawdata(path).diff3d, usual.patterns.diffraction)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda patterns: None,
        lambda patterns: patterns * 1.37,  # counts or amplitude: asked, where the patterns are read
        lambda patterns: patterns[:3],
        lambda patterns: patterns * np.nan,
    ],
)
def test_a_product_without_patterns_is_the_same_whatever_the_patterns_are(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays, spoil: Callable[[np.ndarray], np.ndarray | None]
) -> None:
    found, path = convert(include=False)
    usual = path.read_bytes()
    patterns = spoil(arrays.pop("diffraction"))
    if patterns is not None:
        arrays["diffraction"] = patterns
    again, path = convert(include=False)
    assert path.read_bytes() == usual
    assert again == found
    with pytest.raises(ContractBroken, match="diffraction"):
        convert()


def test_without_patterns_card_units_and_physics_are_read_as_with_them(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays
) -> None:
    card = in_metres(arrays, 5e-8, photon_energy_eV=8000, detector_distance_m=2, detector_pixel_size_m=75e-6)
    arrays["xcoords"], arrays["ycoords"] = (arrays[key][:, None] * 258300496.66 / 5e7 for key in ("xcoords", "ycoords"))
    with_patterns = read_product(convert(ExportMeta(), card=card)[1])
    without = read_product(convert(ExportMeta(), include=False, card=card)[1])
    np.testing.assert_array_equal(without.probe_position_x_m, with_patterns.probe_position_x_m)
    np.testing.assert_array_equal(without.object, with_patterns.object)
    assert without.metadata.model_copy(update={"comments": ""}) == with_patterns.metadata.model_copy(
        update={"comments": ""}
    )
    assert "Object pixel 2.583e-07 m computed as wavelength * distance" in without.metadata.comments


def test_an_object_that_some_probes_overhang_is_exported_with_a_warning(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays
) -> None:
    arrays["xcoords"] = arrays["xcoords"] - 8
    for include in (True, False):
        found, path = convert(include=include)
        assert ("positions.overhang_object", "warning") in {(v.code, v.severity) for v in found}
        np.testing.assert_array_equal(read_product(path).object[0], arrays["objectGuess"])


@pytest.mark.parametrize("dtype", ["<c8", ">c8", "<c16", ">c16"])
def test_probe_and_object_keep_their_numbers_to_the_last_digit(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays, dtype: str
) -> None:
    random = np.random.default_rng(0)
    for key in ("probeGuess", "objectGuess"):
        arrays[key] = (arrays[key] + random.normal(size=arrays[key].shape) / 9).astype(dtype)
    for include in (True, False):
        product = read_product(convert(include=include)[1])
        np.testing.assert_array_equal(product.probe[0, 0], arrays["probeGuess"])
        np.testing.assert_array_equal(product.object[0], arrays["objectGuess"])
        assert product.object.dtype.itemsize == int(dtype[2:])


def test_modes_on_the_last_axis_are_found_without_patterns_too(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays
) -> None:
    arrays["probeGuess"] = np.random.default_rng(1).normal(size=(16, 16, 3)).astype(np.complex64)
    for include in (True, False):
        np.testing.assert_array_equal(
            read_product(convert(include=include)[1]).probe[0], np.moveaxis(arrays["probeGuess"], -1, 0)
        )


def test_patterns_travel_with_their_unit_or_stay_at_home(convert: Callable[..., tuple[Any, Path]]) -> None:
    with h5py.File(convert()[1]) as file:
        assert file["raw_data/diffraction"].attrs["unit"] == "amplitude"
        assert file["raw_data/diffraction"].dtype == np.float32
    assert read_raw_bundle(convert(include=False)[1]) is None


@pytest.mark.parametrize("key", ["xcoords", "ycoords", "diffraction"])
def test_a_missing_key_is_refused_by_name(convert: Callable[..., tuple[Any, Path]], arrays: Arrays, key: str) -> None:
    del arrays[key]
    with pytest.raises(ContractBroken, match=rf"scan.npz: {key}: found the arrays .*, wanted {key}"):
        convert()


@pytest.mark.parametrize("keys", [("probeGuess",), ("objectGuess",), ("probeGuess", "objectGuess")])
def test_a_guess_is_never_made_up(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays, tmp_path: Path, keys: tuple[str, ...]
) -> None:
    for key in keys:
        del arrays[key]
    for include in (True, False):
        with pytest.raises(ContractBroken) as refusal:
            convert(include=include)
        assert [(v.code, v.place) for v in refusal.value.violations] == [("key.missing", key) for key in keys]
    with pytest.raises(Refused, match=f"scan scan has no {' and no '.join(keys)} to go with its positions"):
        export_scan(read_scan(tmp_path / "scan.npz"), tmp_path / "p.h5")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("diff3d", np.ones((5, 16, 16)), "both diffraction and diff3d, with different values"),
        ("probeGuess", np.ones((16, 16)), "probeGuess: found dtype float64, wanted complex values"),
        ("xcoords", np.ones(4), "found N = 4, wanted N = 5"),
        ("xcoords", np.full(5, np.nan), "xcoords: found 5 of 5 values"),
        ("xcoords", np.full(5, 5e-6 * 1e9), "5 of 5 positions off the object, from pixel 5000.0"),
        ("bad_pixels", np.full((16, 16), 2), "bad_pixels: found nothing but bad pixels"),
    ],
)
def test_what_does_not_fit_is_refused(
    convert: Callable[..., tuple[Any, Path]], arrays: Arrays, key: str, value: np.ndarray, sentence: str
) -> None:
    arrays[key] = value
    with pytest.raises(Refused, match=sentence):
        convert()


def test_what_is_no_scan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        export_npz(tmp_path / "absent.npz", tmp_path / "p.h5")
    (tmp_path / "text.npz").write_text("no NPZ")
    np.save(tmp_path / "array.npy", np.ones(3))
    for name, says in (("text.npz", r"an \.npz archive"), ("array.npy", "wanted xcoords")):
        with pytest.raises(Refused, match=says):
            export_npz(tmp_path / name, tmp_path / "p.h5")
    assert not (tmp_path / "p.h5").exists()


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
        (np.full((5, 16, 16), 400, np.uint16), "counts"),
        (np.full((5, 16, 16), 400.0), "counts"),
        (np.sqrt(np.full((5, 16, 16), 397.0, np.float32)), "amplitude"),
        (np.full((5, 16, 16), 0.3), "amplitude"),
        (np.full((5, 16, 16), 700.3), "unknown"),
    ],
)
def test_patterns_in_memory_are_written_as_they_are_and_their_values_tell_their_unit(
    tmp_path: Path, arrays: Arrays, patterns: np.ndarray, unit: str
) -> None:
    raw = RawData(arrays["xcoords"], arrays["ycoords"], arrays["probeGuess"], arrays["objectGuess"], patterns)
    export_product_from_rawdata(raw, tmp_path / "p.h5", KNOWN)
    bundle = read_raw_bundle(tmp_path / "p.h5")
    assert bundle is not None
    assert bundle.unit == unit
    np.testing.assert_array_equal(bundle.diffraction, patterns)
