"""Photon energy, wavelength, and what a pixel of a far-field pattern samples."""

from __future__ import annotations

_PLANCK_TIMES_LIGHT_eV_m = 1.239841984332003e-6  # CODATA 2018, exact by definition of the SI


def wavelength_m(photon_energy_eV: float) -> float:
    """Return the wavelength of a photon in m."""
    return _PLANCK_TIMES_LIGHT_eV_m / photon_energy_eV


def far_field_pixel_m(
    photon_energy_eV: float, detector_distance_m: float, detector_pixel_m: float, detector_size: int
) -> float:
    """Return the object pixel in m that a far-field pattern of ``detector_size`` pixels samples: λz / (N p).

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed. (2005), section 4.3.
    """
    return wavelength_m(photon_energy_eV) * detector_distance_m / (detector_size * detector_pixel_m)
