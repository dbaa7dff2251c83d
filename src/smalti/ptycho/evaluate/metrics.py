"""How good a reconstruction is: R-factor against the patterns; PSNR and SSIM against another object, gauge removed.

Nothing here uses the solver's forward model: a mistake there must not vouch for itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan
from smalti.errors import Refused
from smalti.optics import wavelength_m
from smalti.ptycho.evaluate.registration import Area, Complex, align
from smalti.ptycho.solve.patterns import Patterns

Float = NDArray[np.float32] | NDArray[np.float64]

BLOCK_PIXELS = 2**20  # of exit waves at once, all modes counted
SSIM_WINDOW_PIXELS = 11


@dataclass(frozen=True, slots=True)
class NearField:
    """Free space between the sample and a detector on the object's own pixel grid; all in m."""

    wavelength_m: float
    distance_m: float
    pixel_size_m: float

    @classmethod
    def of(cls, scan: Scan) -> NearField | None:
        """Return what a near-field scan states, None for the far field.

        Raises:
            Refused: the scan is in the near field and does not state energy, distance and object pixel.
        """
        metadata = scan.metadata
        if metadata.far_field:
            return None
        needed = {
            "photon_energy_eV": metadata.photon_energy_eV,
            "detector_distance_m": metadata.detector_distance_m,
            "object_pixel_size_m": metadata.object_pixel_size_m,
        }
        energy, distance, pixel = needed.values()
        if energy is None or distance is None or pixel is None:
            missing = " and ".join(name for name, stated in needed.items() if stated is None)
            raise Refused(f"scan {metadata.name} is in the near field without {missing}; state it in its card.")
        return cls(wavelength_m(energy.value), distance.value, pixel.value)

    def transfer(self, shape: tuple[int, int]) -> NDArray[np.complex128]:
        """Return the (H, W) factor of each plane wave, DC at [0, 0]; evanescent waves do not arrive.

        The phase of the straight beam is left out: no intensity depends on it.

        Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed. (2005), section 3.10, angular spectrum.
        """
        down, right = (np.fft.fftfreq(n, self.pixel_size_m) * self.wavelength_m for n in shape)
        sine_squared = np.add.outer(down**2, right**2)
        cosine = np.sqrt(np.maximum(1 - sine_squared, 0))
        # cosine - 1 in a form that keeps its digits at small angles
        phase = -2 * math.pi * self.distance_m / self.wavelength_m * sine_squared / (1 + cosine)
        return np.where(sine_squared < 1, np.exp(1j * phase), 0)


def known_pixel_m(scan: Scan) -> float | None:
    """Return the object pixel of a scan in m, as stated or as the far field implies it; None where neither is."""
    from smalti.products import object_pixel_m

    with suppress(Refused):
        return object_pixel_m(scan)[0]
    return None


def r_factor(
    diffraction: Patterns,
    object: Complex,
    probe: Complex,
    xcoords: NDArray[np.float64],
    ycoords: NDArray[np.float64],
    *,
    bad_pixels: NDArray[np.bool_] | None = None,
    near_field: NearField | None = None,
) -> float:
    """Return sum(abs(A - D)) / sum(D) over the good pixels of all patterns; 0 is perfect, 1 no better than nothing.

    Blocks of patterns are read one after another, so that a scan larger than memory can be judged.

    Args:
        diffraction: (N, H, W) measured amplitude D; far field: DC at [H//2, W//2].
        object: (M, K) complex.
        probe: (P, H, W) complex modes in the orthonormal convention.
        xcoords, ycoords: (N,) probe centres in pixels of ``object``.
        bad_pixels: (H, W) True where the detector tells nothing.
        near_field: the space behind the sample; None for the far field.

    Raises:
        Refused: a window is not wholly on the object, or no good pixel saw any light.

    Source: the R-factor of crystallography, on amplitudes: W. C. Hamilton, Acta Cryst. 18, 502 (1965).
    """
    good = slice(None) if bad_pixels is None else ~bad_pixels
    difference = total = 0.0
    for some, amplitude in _amplitudes(object, probe, xcoords, ycoords, near_field):
        measured = diffraction[some][:, good]
        difference += float(np.abs(amplitude[:, good] - measured).sum(dtype=np.float64))
        total += float(measured.sum(dtype=np.float64))
    if not total:
        raise Refused("every good pixel of the patterns is 0, so no R-factor can be told; give patterns with light.")
    return difference / total


def _amplitudes(
    object: Complex,
    probe: Complex,
    xcoords: NDArray[np.float64],
    ycoords: NDArray[np.float64],
    near_field: NearField | None = None,
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield the modelled amplitudes as a detector shows them, for one slice of the patterns after another."""
    height, width = probe.shape[-2:]
    top, left = ycoords - (height - 1) / 2, xcoords - (width - 1) / 2
    rows, cols = np.rint(top).astype(int), np.rint(left).astype(int)
    last_row, last_col = np.array(object.shape) - (height, width)
    if rows.min() < 0 or cols.min() < 0 or rows.max() > last_row or cols.max() > last_col:
        raise Refused(
            f"some of the {len(rows)} windows of {height} x {width} pixels leave the object of {object.shape}; "
            "give positions in pixels of this object."
        )
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(object, np.complex64), (height, width))
    spectrum = np.fft.fft2(np.asarray(probe, np.complex64))
    transfer = None if near_field is None else near_field.transfer((height, width)).astype(np.complex64)
    at_once = max(1, BLOCK_PIXELS // probe.size)
    for start in range(0, len(xcoords), at_once):
        some = slice(start, start + at_once)
        ramp_y = np.exp(-2j * math.pi * np.multiply.outer((top - rows)[some], np.fft.fftfreq(height)))
        ramp_x = np.exp(-2j * math.pi * np.multiply.outer((left - cols)[some], np.fft.fftfreq(width)))
        ramps = ramp_y.astype(np.complex64)[:, None, :, None] * ramp_x.astype(np.complex64)[:, None, None, :]
        wave = np.fft.fft2(windows[rows[some], cols[some]][:, None] * np.fft.ifft2(spectrum * ramps))  # (B, P, H, W)
        if transfer is None:
            intensity = (wave.real**2 + wave.imag**2).sum(axis=1) / (height * width)
            yield some, np.sqrt(np.fft.fftshift(intensity, axes=(-2, -1)))
        else:
            wave = np.fft.ifft2(wave * transfer)
            yield some, np.sqrt((wave.real**2 + wave.imag**2).sum(axis=1))


def scanned_area(xcoords: NDArray[np.float64], ycoords: NDArray[np.float64]) -> Area:
    """Return the box around the probe centres, in pixels of the array the coordinates belong to."""
    return (
        slice(math.ceil(ycoords.min()), math.floor(ycoords.max()) + 1),
        slice(math.ceil(xcoords.min()), math.floor(xcoords.max()) + 1),
    )


def psnr(estimate: Float, reference: Float) -> float:
    """Return the peak signal-to-noise ratio in dB, infinite for equal images.

    The peak is the range of ``reference``, max minus min.

    Source: Q. Huynh-Thu, M. Ghanbari, Electron. Lett. 44, 800 (2008), on what it is good for.
    """
    mean_square = float(np.mean((estimate - reference) ** 2))
    return 10 * math.log10(float(np.ptp(reference)) ** 2 / mean_square) if mean_square else math.inf


def ssim(estimate: Float, reference: Float) -> float:
    """Return the mean structural similarity, 1 for equal images, with the range of ``reference``.

    Source: Z. Wang et al., IEEE Trans. Image Process. 13, 600 (2004), with its Gaussian window (sigma 1.5).
    """
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            estimate,
            reference,
            data_range=float(np.ptp(reference)),
            gaussian_weights=True,
            sigma=1.5,
            win_size=SSIM_WINDOW_PIXELS,
            use_sample_covariance=False,
        )
    )


def compare(estimate: Complex, truth: Complex, area: Area) -> dict[str, float]:
    """Return ``phase_psnr_dB``, ``phase_ssim``, ``amplitude_psnr_dB`` and ``amplitude_ssim`` inside ``area``.

    The estimate is aligned first. A truth whose phase (or amplitude) is constant has no range to compare with
    and gets no such figure; an area narrower than the window of the SSIM gets none at all.
    """
    wanted = np.asarray(truth[area], dtype=np.complex128)
    if min(wanted.shape) < SSIM_WINDOW_PIXELS:
        return {}
    aligned = align(estimate, truth, area)
    phase = np.angle(wanted)
    images = {
        "phase": (phase + np.angle(aligned * wanted.conj()), phase),  # no false jump where a phase wraps
        "amplitude": (np.abs(aligned), np.abs(wanted)),
    }
    figures: dict[str, float] = {}
    for name, (found, known) in images.items():
        if np.ptp(known) > 0:
            figures[f"{name}_psnr_dB"] = psnr(found, known)
            figures[f"{name}_ssim"] = ssim(found, known)
    return figures
