"""Reconstruct a scan by gradient descent through the forward model.

The unknowns are the object and the pupil (the probe's Fourier transform), both as real and imaginary parts, moved by
Adam against the difference of modelled and measured amplitudes.

Sources: S. Kandel et al., Opt. Express 27, 18653 (2019), for automatic differentiation; D. Kingma, J. Ba, ICLR 2015,
for Adam; F. Anscombe, Biometrika 35, 246 (1948), for the square root of counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan
from smalti.compute.kernels import compiling_alone
from smalti.errors import Refused
from smalti.ptycho import metrics
from smalti.ptycho.geometry import Placement, place
from smalti.ptycho.probe import initial_probe, mean_intensity, pupil_support
from smalti.ptycho.propagation import far_field_amplitude
from smalti.training.environment import describe_environment

Report = Callable[[dict[str, Any]], None]
Arrays = dict[str, mx.array]

ADAM_BETAS = (0.9, 0.99)
ADAM_EPSILON = 1e-10  # far below any gradient of a lit pixel
LAST_RATE = 0.02  # of the first; a cosine leads there


@dataclass(frozen=True, slots=True)
class SolverSettings:
    """What a person may choose; the defaults suit a known probe, and one whose defocus is up to 40 % wrong."""

    epochs: int = 60  # passes over all patterns
    batch: int = 24  # patterns per step
    seed: int = 0  # decides the order of the patterns
    object_rate: float = 4e-2  # step of the object, which is near 1
    probe_rate: float = 1e-2  # step of the pupil, relative to its root mean square
    refine_probe: bool = True  # whether the pupil moves too
    padding: int = 12  # free pixels around the outermost patterns

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise Refused(f"{name} is {getattr(self, name)}; give at least 1.")


def solve(
    scan: Scan,
    settings: SolverSettings,
    start_object: NDArray[np.complex64] | None = None,
    report: Report | None = None,
) -> Reconstruction:
    """Return the object and probe that explain ``scan``; the same bits each time on the same machine and BLAS.

    Args:
        start_object: complex64 on the canvas that ``place`` makes with ``settings.padding``; 1 + 0j if None.
            A truth that comes with the scan is never started from, only compared with.
        report: is called after each epoch with ``epoch`` (counted from 1), ``epochs`` and ``loss``.

    Returns:
        ``loss`` is the mean of (A - D)**2 over all pixels, relative to the mean of D**2. ``metrics`` holds
        ``r_factor``, and the figures of ``metrics.compare`` where the truth is known.

    Raises:
        Refused: a start object of another shape, or rates so large that the loss is no longer finite.
    """
    placement = place(scan.xcoords, scan.ycoords, scan.diffraction.shape[1:], settings.padding)
    start = np.ones(placement.canvas.shape, np.complex64) if start_object is None else start_object
    if start.shape != placement.canvas.shape:
        raise Refused(
            f"the start object is {start.shape}, but the canvas of this scan is {placement.canvas.shape}; "
            f"make it with padding {settings.padding}."
        )
    model = _Model(scan, placement)
    unknowns = {"object": _parts(start), "pupil": model.pupil_of(initial_probe(scan))}
    unknowns, loss = _descend(model, unknowns, settings, report)
    found, probe = _complex(unknowns["object"]), model.probe_of(unknowns["pupil"])
    xcoords, ycoords = scan.xcoords - placement.canvas.origin_x, scan.ycoords - placement.canvas.origin_y
    figures = {"r_factor": metrics.r_factor(scan.diffraction, found, probe, xcoords, ycoords)}
    if scan.object_guess is not None and scan.metadata.object_role == "truth":
        figures |= _against_truth(scan.object_guess, scan, found, placement)
    return Reconstruction(
        object=found,
        probe=probe,
        xcoords=xcoords,
        ycoords=ycoords,
        origin_x=placement.canvas.origin_x,
        origin_y=placement.canvas.origin_y,
        loss=np.array(loss),
        metrics=figures,
        config={
            "solver": "amplitude descent",
            "start": "flat" if start_object is None else "given",
            "settings": asdict(settings),
            "environment": describe_environment(),
        },
    )


class _Model:
    """What the detector would see of an object and a pupil, and how far that is from what it saw.

    Attributes:
        patterns: how many there are.
        support: (H, W) float32, 1 where the pupil may change.
    """

    def __init__(self, scan: Scan, placement: Placement) -> None:
        height, width = scan.diffraction.shape[1:]
        columns = placement.canvas.shape[1]
        self._scan, self._placement = scan, placement
        self.patterns = len(scan.diffraction)
        self._window = mx.array(np.add.outer(np.arange(height) * columns, np.arange(width)).astype(np.int32))
        self._down = mx.array(np.fft.fftfreq(height).astype(np.float32))
        self._right = mx.array(np.fft.fftfreq(width).astype(np.float32))
        support, mean = pupil_support(scan), mean_intensity(scan)
        self.support = mx.array(support.astype(np.float32))
        self._mean_intensity = float(mean.mean())
        self._pupil_rms = math.sqrt(mean.sum() / support.sum())
        # The root of n + 3/8 counts has the same noise at any n; a bare root would pull dim pixels to zero.
        # One count is the least intensity that was ever seen, in whatever unit the patterns are.
        least = float(scan.diffraction.min(where=scan.diffraction > 0, initial=np.inf)) ** 2
        self._offset = max(0.375 * least, 1e-9 * self._mean_intensity)

    def pupil_of(self, probe: NDArray[np.complex64]) -> mx.array:
        """Return (2, P, H, W): real and imaginary parts, relative to their root mean square in the support."""
        return _parts(np.fft.fft2(probe, norm="ortho") / self._pupil_rms)

    def probe_of(self, pupil: mx.array) -> NDArray[np.complex64]:
        probe = np.fft.ifft2(_complex(pupil) * self._pupil_rms, norm="ortho")
        return probe.astype(np.complex64)

    def batch(self, some: NDArray[np.int64]) -> list[mx.array]:
        """Return amplitude (DC at [0, 0]), first pixel on the flattened canvas, dy and dx of these patterns."""
        at = self._placement
        amplitude = np.fft.ifftshift(self._scan.diffraction[some], axes=(-2, -1))
        corner = at.rows[some] * at.canvas.shape[1] + at.cols[some]
        return [mx.array(values) for values in (amplitude, corner, at.dy[some], at.dx[some])]

    def loss(self, unknowns: Arrays, amplitude: mx.array, corner: mx.array, dy: mx.array, dx: mx.array) -> mx.array:
        """Return the mean square difference of the (offset) amplitudes, relative to the mean intensity."""
        canvas = (unknowns["object"][0] + 1j * unknowns["object"][1]).flatten()
        pupil = (unknowns["pupil"][0] + 1j * unknowns["pupil"][1]) * self._pupil_rms  # (P, H, W)
        if not self._placement.is_whole:
            down = mx.exp(-2j * math.pi * dy[:, None] * self._down)
            right = mx.exp(-2j * math.pi * dx[:, None] * self._right)
            pupil = pupil * down[:, None, :, None] * right[:, None, None, :]  # (B, P, H, W)
        patches = canvas[corner[:, None, None] + self._window]  # (B, H, W)
        modes = far_field_amplitude(patches[:, None] * mx.fft.ifft2(pupil, norm="ortho"))
        modelled = mx.sqrt(mx.square(modes).sum(axis=1) + self._offset)
        measured = mx.sqrt(mx.square(amplitude) + self._offset)
        loss: mx.array = mx.square(modelled - measured).mean() / self._mean_intensity
        return loss


def _descend(
    model: _Model, unknowns: Arrays, settings: SolverSettings, report: Report | None
) -> tuple[Arrays, list[float]]:
    """Return the unknowns at the end and the mean loss of each epoch."""

    def step(
        unknowns: Arrays, first: Arrays, second: Arrays, rates: Arrays, *batch: mx.array
    ) -> tuple[Arrays, Arrays, Arrays, mx.array]:
        loss, slope = mx.value_and_grad(model.loss)(unknowns, *batch)
        slope["pupil"] = slope["pupil"] * model.support
        a, b = ADAM_BETAS
        first = {name: a * first[name] + (1 - a) * slope[name] for name in slope}
        second = {name: b * second[name] + (1 - b) * mx.square(slope[name]) for name in slope}
        moved = {
            name: unknowns[name] - rates[name] * first[name] / (mx.sqrt(second[name]) + ADAM_EPSILON) for name in slope
        }
        return moved, first, second, loss

    compiled = mx.compile(step)
    first = {name: mx.zeros_like(values) for name, values in unknowns.items()}
    second = dict(first)
    steps = math.ceil(model.patterns / settings.batch)
    losses: list[float] = []
    for epoch in range(settings.epochs):
        order = np.random.default_rng([settings.seed, epoch]).permutation(model.patterns)
        total = 0.0
        for i, some in enumerate(np.array_split(order, steps)):
            done = (epoch * steps + i) / (settings.epochs * steps)
            fraction = LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * done)) / 2
            rates = {
                "object": mx.array(settings.object_rate * fraction),
                "pupil": mx.array(settings.probe_rate * fraction if settings.refine_probe else 0.0),
            }
            with compiling_alone() if epoch == 0 else nullcontext():
                unknowns, first, second, loss = compiled(unknowns, first, second, rates, *model.batch(some))
                mx.eval(unknowns, first, second, loss)
            total += float(np.array(loss)) * len(some)
        if not math.isfinite(total):
            raise Refused(
                f"the loss is {total} in epoch {epoch + 1}: object_rate {settings.object_rate:g} or probe_rate "
                f"{settings.probe_rate:g} is too large; halve them."
            )
        losses.append(total / model.patterns)
        if report is not None:
            report({"epoch": epoch + 1, "epochs": settings.epochs, "loss": losses[-1]})
    return unknowns, losses


def _parts(values: NDArray[Any]) -> mx.array:
    return mx.array(np.stack([values.real, values.imag]).astype(np.float32))


def _complex(parts: mx.array) -> NDArray[np.complex64]:
    real, imaginary = np.array(parts)
    return np.asarray(real + 1j * imaginary, dtype=np.complex64)


def _against_truth(
    truth: NDArray[np.complex64], scan: Scan, found: NDArray[np.complex64], placement: Placement
) -> dict[str, float]:
    """Return the figures of ``metrics.compare`` in the scanned area, where the two arrays lie over each other."""
    top, left = round(placement.canvas.origin_y), round(placement.canvas.origin_x)
    rows = slice(max(top, 0), min(top + found.shape[0], truth.shape[0]))
    cols = slice(max(left, 0), min(left + found.shape[1], truth.shape[1]))
    estimate = found[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]
    area = metrics.scanned_area(scan.xcoords - cols.start, scan.ycoords - rows.start)
    return metrics.compare(estimate, truth[rows, cols], area)


def solve_stored(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Solve a stored scan and store what comes out; a function for :func:`smalti.compute.run_child`.

    Args:
        request: ``store`` (path), ``scan`` (digest), ``checkpoint`` (digest of a network that makes the start
            object, or None) and ``settings`` (fields of SolverSettings).

    Returns:
        ``{"digest": digest, "new_bytes": bytes added}`` of the Reconstruction.

    Raises:
        NotFound: nothing in the store answers to a digest.
        Refused: an unknown setting, or what ``solve`` refuses.
    """
    from smalti import open_store
    from smalti.ptycho.network import predict_object

    store = open_store(request["store"])
    settings = _settings(request["settings"])
    scan = store.get(request["scan"])
    start = None
    if request.get("checkpoint") is not None:
        start = predict_object(scan, store.get(request["checkpoint"]), settings.padding)
    ref = store.put(solve(scan, settings, start, report))
    return {"digest": ref.digest, "new_bytes": ref.new_bytes}


def _settings(fields: Mapping[str, Any]) -> SolverSettings:
    try:
        return SolverSettings(**fields)
    except TypeError as error:
        known = ", ".join(SolverSettings.__dataclass_fields__)
        raise Refused(f"the settings {sorted(fields)} do not fit the solver; it knows {known}.") from error
