"""Probe modes: a partly coherent beam as coherent waves that add in intensity.

The beam is described by its density matrix, the sum over modes of psi(r) conj(psi(r')). Any unitary mix of the modes
has the same matrix and makes the same patterns; orthogonal modes, strongest first, are the conventional choice.

Source: P. Thibault, A. Menzel, Nature 494, 68 (2013).
"""

from __future__ import annotations

from itertools import count, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import Refused

POWER_OF_FURTHER_MODE = 0.02  # of the whole beam
MOST_PRODUCTS = 100  # tried until enough are new
LEAST_NEW = 1e-3  # of a wave's norm must be outside the span of the modes before it


def initial_modes(probe: NDArray[np.complex64], modes: int) -> NDArray[np.complex64]:
    """Return (modes, H, W): the given modes and, orthogonal to them, weak further ones as an initial guess.

    A vibrating beam, or that of a source of finite size, is a sum of slightly shifted waves. To first order these are
    the wave and its two derivatives, whose pupils are its pupil times the pupil coordinates; products of these follow.
    All of them stay inside the pupil's support. Each gets ``POWER_OF_FURTHER_MODE`` of the intensity, and the given
    modes share the rest in their ratio.

    Args:
        probe: (P, H, W) complex64, the strongest mode first.
        modes: how many there shall be; the first so many of the given when they are more.

    Raises:
        Refused: fewer than 1 mode, so many that the further ones would take more than half of the intensity, or more
            than the pupil of the first mode has independent products.
    """
    further = modes - len(probe)
    if modes < 1 or further * POWER_OF_FURTHER_MODE > 0.5:
        raise Refused(
            f"{modes} modes are wanted beside {len(probe)} given; "
            f"take 1 to {len(probe) + int(0.5 / POWER_OF_FURTHER_MODE)}."
        )
    given = probe.astype(np.complex128)
    total = np.linalg.norm(given)
    if further <= 0:
        return np.asarray(given[:modes] * (total / np.linalg.norm(given[:modes])), dtype=np.complex64)
    weak = _orthogonal_products(given, further) * (total * POWER_OF_FURTHER_MODE**0.5)
    kept = given * (1 - further * POWER_OF_FURTHER_MODE) ** 0.5
    return np.concatenate([kept, weak]).astype(np.complex64)


def _orthogonal_products(given: NDArray[np.complex128], wanted: int) -> NDArray[np.complex128]:
    """Return (wanted, H, W) waves of norm 1, orthogonal to each other and to ``given``.

    They are the first mode's pupil times 1, y, x, y^2, yx, x^2, ... by rising degree, Gram-Schmidt orthogonalised.
    """
    height, width = given.shape[1:]
    pupil = np.fft.fft2(given[0], norm="ortho")
    y, x = np.fft.fftfreq(height)[:, None] * 2, np.fft.fftfreq(width)[None, :] * 2
    products = (pupil * y ** (degree - i) * x**i for degree in count() for i in range(degree + 1))
    basis = list(np.linalg.qr(np.fft.fft2(given, norm="ortho").reshape(len(given), -1).T)[0].T)
    for product in islice(products, MOST_PRODUCTS):
        if len(basis) == len(given) + wanted:
            break
        wave = product.ravel() / max(np.linalg.norm(product), np.finfo(float).tiny)
        for _ in range(2):  # the second round removes what rounding left of the first
            for other in basis:
                wave = wave - np.vdot(other, wave) * other
        if (norm := np.linalg.norm(wave)) > LEAST_NEW:
            basis.append(wave / norm)
    if len(basis) < len(given) + wanted:
        raise Refused(
            f"the pupil of the first mode is too small for {wanted} further modes (a plane wave has none); "
            "give the modes with the scan."
        )
    found: NDArray[Any] = np.stack(basis[len(given) :]).reshape(-1, height, width)
    return np.asarray(np.fft.ifft2(found, norm="ortho"))


def orthogonal_modes(probe: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return (P, H, W): the same beam as orthogonal modes, the strongest first; one mode stays as it is.

    The modes are the eigenvectors of the density matrix, found from the P x P matrix of their scalar products. Each
    keeps the phase of the given mode that it holds most of.

    Args:
        probe: (P, H, W) complex64.
    """
    given = probe.reshape(len(probe), -1).astype(np.complex128)
    _, mix = np.linalg.eigh(given @ given.conj().T)  # (P, P), columns from the weakest to the strongest
    mix = mix[:, ::-1]
    largest = mix[np.abs(mix).argmax(axis=0), np.arange(len(probe))]
    mix = mix * (largest.conj() / np.abs(largest))
    return np.asarray(mix.conj().T @ given, dtype=np.complex64).reshape(probe.shape)
