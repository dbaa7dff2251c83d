"""Previews are small PNG files that show what the arrays hold, and drawing them leaves no trace."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage import color, measure

from smalti import open_store
from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan, ScanMetadata
from smalti.ptycho.evaluate.frc import FrcResult, compute_frc
from smalti.ptycho.report.complex_color import color_wheel, complex_to_rgb
from smalti.ptycho.report.previews import (
    amplitude_preview,
    frc_preview,
    loss_preview,
    phase_preview,
    probe_preview,
    reconstruction_preview,
    scan_preview,
)
from smalti.ptycho.report.scale_bar import scale_bar_m

LARGEST_NBYTES = 200_000  # of what is embedded in a page; a file of its own may take more


@pytest.fixture
def scan() -> Scan:
    random = np.random.default_rng(7)
    return Scan(
        diffraction=np.sqrt(random.poisson(50, (40, 64, 64))).astype(np.float32),
        xcoords=random.uniform(30, 270, 40),
        ycoords=random.uniform(30, 270, 40),
        probe_guess=None,
        object_guess=None,
        scan_index=np.arange(40),
        metadata=ScanMetadata(name="star"),
    )


@pytest.fixture
def reconstruction(scan: Scan) -> Reconstruction:
    """An object dark everywhere but in its middle, under a probe of two modes."""
    random = np.random.default_rng(8)
    obj = np.full((300, 300), 0.1, np.complex64)
    obj[100:200, 100:200] = random.uniform(0.8, 1, (100, 100)) * np.exp(1j * random.uniform(-0.5, 0.5, (100, 100)))
    y, x = np.mgrid[-32:32, -32:32]
    mode = np.exp(-(x**2 + y**2) / 200 + 1j * (x**2 + y**2) / 100).astype(np.complex64)
    return Reconstruction(
        object=obj,
        probe=np.stack([mode, 0.5 * mode]),
        xcoords=scan.xcoords,
        ycoords=scan.ycoords,
        origin_x=0.0,
        origin_y=0.0,
        loss=np.geomspace(5, 0.5, 20),
        metrics={},
        config={},
    )


def picture(png: bytes) -> Image.Image:
    assert len(png) <= LARGEST_NBYTES
    opened = Image.open(io.BytesIO(png))
    assert (opened.format, opened.width) == ("PNG", 900)
    return opened.convert("RGB")


@pytest.fixture
def frc() -> FrcResult:
    common, first, second = np.random.default_rng(9).normal(size=(3, 64, 64))
    return compute_frc(1 + 0.1j * (2 * common + first), 1 + 0.1j * (2 * common + second), pixel_size_m=1e-8)


def test_a_scan_is_drawn(scan: Scan) -> None:
    assert len(picture(scan_preview(scan)).getcolors(1 << 16)) > 64


def test_what_is_drawn_follows_the_arrays(scan: Scan, reconstruction: Reconstruction) -> None:
    assert scan_preview(scan) != scan_preview(replace(scan, xcoords=scan.xcoords[::-1]))
    assert scan_preview(scan) != scan_preview(replace(scan, diffraction=scan.diffraction[:, ::-1] ** 2))
    shown = reconstruction_preview(reconstruction)
    assert shown != reconstruction_preview(replace(reconstruction, object=reconstruction.object.conj()))
    assert shown != reconstruction_preview(replace(reconstruction, probe=reconstruction.probe.conj()))


def test_a_global_phase_is_not_drawn(reconstruction: Reconstruction) -> None:
    turned = replace(reconstruction, object=reconstruction.object * np.complex64(1j))
    first, second = (np.asarray(picture(reconstruction_preview(r)), float) for r in (reconstruction, turned))
    assert np.abs(first - second).mean() < 1


def test_only_the_scanned_area_is_drawn(reconstruction: Reconstruction) -> None:
    inside = replace(reconstruction, xcoords=np.array([100.0, 199.0]), ycoords=np.array([100.0, 199.0]))
    elsewhere = inside.object.copy()
    elsewhere[:90] = 1e6
    assert reconstruction_preview(inside) == reconstruction_preview(replace(inside, object=elsewhere))


def test_a_hot_pixel_does_not_darken_the_rest(reconstruction: Reconstruction) -> None:
    hot = reconstruction.object.copy()
    hot[150, 150] = 100
    first, second = (
        np.asarray(Image.open(io.BytesIO(amplitude_preview(one))).convert("RGB"), float)
        for one in (reconstruction, replace(reconstruction, object=hot))
    )
    assert np.abs(first - second).mean() < 1


def test_a_pixel_size_adds_a_scale_bar(reconstruction: Reconstruction) -> None:
    without, with_bar = (picture(reconstruction_preview(reconstruction, size)) for size in (None, 1e-8))
    assert without.size == with_bar.size
    assert without != with_bar


def test_even_noise_stays_small(reconstruction: Reconstruction) -> None:
    random = np.random.default_rng(9)
    noise = np.exp(1j * random.uniform(-np.pi, np.pi, (300, 300))) * random.uniform(0, 1, (300, 300))
    picture(reconstruction_preview(replace(reconstruction, object=noise.astype(np.complex64)), 1e-8))


def test_degenerate_inputs_are_drawn_too(scan: Scan, reconstruction: Reconstruction) -> None:
    one = replace(reconstruction, xcoords=np.array([5.0]), ycoords=np.array([5.0]), probe=0 * reconstruction.probe)
    picture(reconstruction_preview(replace(one, object=np.ones((20, 20), np.complex64)), 1e-8))
    still = replace(scan, xcoords=np.full(40, 3.0), ycoords=np.full(40, 3.0), diffraction=0 * scan.diffraction)
    picture(scan_preview(still))
    probe_preview(one.probe, 1e-8)


@pytest.mark.parametrize("loss", [[], [1.0], [3.0, 2.0, 1.0], [1.0, 0.0, -1.0], list(range(1, 500))])
def test_any_loss_is_drawn(loss: list[float]) -> None:
    picture(loss_preview(np.array(loss, dtype=np.float64)))


def test_bad_pixels_are_drawn_grey_and_set_no_scale(scan: Scan) -> None:
    bad = np.zeros((64, 64), bool)
    bad[20:40, 20:40] = True
    hot = np.where(bad, np.float32(1e4), scan.diffraction)
    masked = picture(scan_preview(replace(scan, diffraction=hot, bad_pixels=bad)))
    assert masked == picture(scan_preview(replace(scan, bad_pixels=bad)))
    grey = sum(count for count, colour in masked.getcolors(1 << 16) if np.ptp(colour) < 4 and 145 < colour[0] < 160)
    assert grey > 0.08 * 250 * 250


def test_a_near_field_image_is_drawn_as_it_is(scan: Scan) -> None:
    near = replace(scan, metadata=scan.metadata.model_copy(update={"far_field": False}))
    assert scan_preview(near) != scan_preview(scan)


def test_stored_patterns_are_drawn_as_those_in_memory(scan: Scan) -> None:
    store = open_store("memory:")
    assert scan_preview(replace(scan, diffraction=store.open(store.put(scan.diffraction)))) == scan_preview(scan)


def test_an_object_fills_a_picture_of_its_own_shape(reconstruction: Reconstruction) -> None:
    wide = replace(reconstruction, ycoords=np.clip(reconstruction.ycoords, 100, 150))
    for draw in (amplitude_preview, phase_preview):
        heights = [Image.open(io.BytesIO(draw(one, 1e-8))).height for one in (wide, reconstruction)]
        assert heights[0] < 450
        assert 600 < heights[1] <= 800


@pytest.mark.parametrize(("modes", "shown"), [(1, 1), (3, 3), (5, 5), (14, 12)])
def test_every_mode_is_drawn_up_to_twelve(reconstruction: Reconstruction, modes: int, shown: int) -> None:
    """A mode is drawn in cyan; so many squares of it are there."""
    flat = np.zeros((modes, 64, 64), np.complex64)
    flat[:, 16:48, 16:48] = -np.sqrt(np.arange(modes, 0, -1))[:, None, None]
    pixels = np.asarray(Image.open(io.BytesIO(probe_preview(flat, 1e-8))).convert("RGB")).astype(int)
    cyan = measure.label(np.abs(pixels - pixels_of_phase_pi()).max(axis=-1) < 8)
    assert sum(region.area > 500 for region in measure.regionprops(cyan)) == shown


def pixels_of_phase_pi() -> np.ndarray:
    return np.rint(255 * complex_to_rgb(np.array(-1 + 0j), 1.0))


def test_modes_are_drawn_by_power_whatever_their_order(reconstruction: Reconstruction) -> None:
    assert probe_preview(reconstruction.probe) == probe_preview(reconstruction.probe[::-1])


def test_a_correlation_is_drawn_with_and_without_a_pixel_size(frc: FrcResult) -> None:
    assert picture(frc_preview(frc)) != picture(frc_preview(replace(frc, pixel_size_m=None)))
    perfect = np.ones_like(frc.phase)
    picture(frc_preview(replace(frc, phase=perfect, complex=perfect)))
    picture(frc_preview(replace(frc, phase=-perfect, complex=-perfect)))


@given(st.floats(-np.pi, np.pi), st.floats(0, 1))
def test_a_hue_is_as_light_as_its_amplitude_at_any_phase(phase_rad: float, amplitude: float) -> None:
    """CIE lightness (a scale of its own, so within a tenth) is that of a phase of 0."""
    wave = amplitude * np.exp(1j * np.array([phase_rad, 0]))
    lightness = color.rgb2lab(complex_to_rgb(wave, 1.0)[None])[0, :, 0]
    assert lightness[0] == pytest.approx(lightness[1], abs=8)
    assert complex_to_rgb(wave, 1.0).min() >= 0
    assert complex_to_rgb(wave, 1.0).max() <= 1


def test_the_key_shows_phase_counter_clockwise() -> None:
    disc = color_wheel(101)[..., :3]
    for at, where in ((1, (50, 90)), (1j, (10, 50)), (-1, (50, 10)), (-1j, (90, 50))):
        assert disc[where] == pytest.approx(complex_to_rgb(np.array(0.8 * at), 1.0), abs=1e-6)


def test_equal_inputs_are_equal_bytes(reconstruction: Reconstruction) -> None:
    for draw in (reconstruction_preview, amplitude_preview, phase_preview):
        assert draw(reconstruction, 1e-8) == draw(reconstruction, 1e-8)
    assert probe_preview(reconstruction.probe, 1e-8) == probe_preview(reconstruction.probe, 1e-8)


@given(st.floats(1e-9, 1e-1))
def test_a_scale_bar_is_round_and_fits(longest_m: float) -> None:
    length_m = scale_bar_m(longest_m)
    assert longest_m / 2.5 * (1 - 1e-9) <= length_m <= longest_m
    assert f"{length_m:.0e}"[0] in "125"


def test_drawing_touches_no_global_state() -> None:
    code = (
        "import sys, numpy; from smalti.ptycho.report.previews import loss_preview;"
        "assert 'matplotlib' not in sys.modules; loss_preview(numpy.ones(3)); print('matplotlib.pyplot' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout == "False\n"
