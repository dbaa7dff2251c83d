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

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan, ScanMetadata
from smalti.ptycho.previews import loss_preview, reconstruction_preview, scale_bar_m, scan_preview

LARGEST_NBYTES = 150_000


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


@pytest.mark.parametrize("loss", [[], [1.0], [3.0, 2.0, 1.0], [1.0, 0.0, -1.0], list(range(1, 500))])
def test_any_loss_is_drawn(loss: list[float]) -> None:
    picture(loss_preview(np.array(loss, dtype=np.float64)))


def test_equal_inputs_are_equal_bytes(reconstruction: Reconstruction) -> None:
    assert reconstruction_preview(reconstruction, 1e-8) == reconstruction_preview(reconstruction, 1e-8)


@given(st.floats(1e-9, 1e-1))
def test_a_scale_bar_is_round_and_fits(longest_m: float) -> None:
    length_m = scale_bar_m(longest_m)
    assert longest_m / 2.5 * (1 - 1e-9) <= length_m <= longest_m
    assert f"{length_m:.0e}"[0] in "125"


def test_drawing_touches_no_global_state() -> None:
    code = (
        "import sys, numpy; from smalti.ptycho.previews import loss_preview;"
        "assert 'matplotlib' not in sys.modules; loss_preview(numpy.ones(3)); print('matplotlib.pyplot' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout == "False\n"
