"""The outputs of a scan for people, in parts: of the scan, its reconstruction, its resolution, its product.

Files and names follow PtychoPINN's output convention, with text in place of pickles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan
from smalti.outputs.curve import curve_svg
from smalti.outputs.folder import REMEMBERED, write_parts
from smalti.outputs.parts import OLDER, PARAMETERS, Card, Part, Rows, content_digest, csv_bytes, rows_of
from smalti.outputs.quantities import quantity
from smalti.outputs.thumbnail import gallery_picture
from smalti.ptycho.evaluate.frc import FrcResult
from smalti.ptycho.geometry import object_pixel_m
from smalti.ptycho.report.previews import (
    amplitude_preview,
    frc_preview,
    loss_preview,
    phase_preview,
    probe_preview,
    scan_preview,
)
from smalti.ptycho.report.thumbnails import (
    frc_crossing,
    frc_curves,
    object_thumbnail,
    reconstruction_thumbnail,
    scan_thumbnail,
)

SCAN, RECONSTRUCTION, RESOLUTION, PRODUCT = "scan", "reconstruction", "resolution", "ptychodus_product"
FILES = frozenset(
    {
        "metrics.csv",
        "history.csv",
        PARAMETERS,
        "logs",
        "reconstructed_amplitude.png",
        "reconstructed_phase.png",
        "probe.png",
        "diffraction.png",
        "loss.png",
        "frc.png",
        "thumbnails",
        OLDER,
        REMEMBERED,
    }
)  # what may be at the top of the folder of a scan
_PICTURE_RANKS = {SCAN: 1, PRODUCT: 2, RECONSTRUCTION: 3}


def write_outputs(
    folder: Path,
    scan: Scan,
    reconstruction: Reconstruction,
    frc: FrcResult | None = None,
    log_lines: Iterable[str] = (),
    digests: Mapping[str, str] | None = None,
) -> Path:
    """Write what there is to see of a scan to a folder of its own in ``folder``; return its path.

    Args:
        frc: of the scan's split halves; without it, one that is there stays if it is of this reconstruction.
        log_lines: of the reconstruction, without line ends.
        digests: of the stored scan, reconstruction and resolution, by these names; by default they are of the outputs.

    Raises:
        Refused: the place is taken by the outputs of another scan, or by something else.
        Unavailable: the disk is full, or may not be written.
    """
    known = digests or {}
    of_scan = {name: known[name] for name in (SCAN,) if name in known}
    of_solved = {name: known[name] for name in (SCAN, RECONSTRUCTION) if name in known}
    scanned = scan_part(scan, known.get(SCAN, ""))
    solved = reconstruction_part(
        scan, reconstruction, known.get(RECONSTRUCTION, ""), of_scan, log_lines, arrays=scanned.version
    )
    parts = [scanned, solved]
    if frc is not None:
        resolved = resolution_part(frc, known.get(RESOLUTION, ""), of_solved)
        parts.append(replace(resolved, versions={SCAN: scanned.version, RECONSTRUCTION: solved.version}))
    return write_scan_parts(folder, scan.metadata.name, parts)


def write_scan_parts(folder: Path, name: str, parts: Sequence[Part]) -> Path:
    """Write parts of the outputs of a scan, see :func:`smalti.outputs.folder.write_parts`.

    Args:
        name: of the scan; in Dagster its partition, which is unique.
    """
    return write_parts(folder, "scan", name, parts, before_parts=FILES)


def arrays_digest(children: Mapping[str, str]) -> str:
    """Return a digest of the arrays of a stored scan: two scans of which only the cards differ have the same.

    Args:
        children: digest of each array by its name, as the record of the stored scan has them.
    """
    return content_digest({name: address.encode() for name, address in children.items()})


def scan_part(scan: Scan, digest: str = "", arrays: str = "") -> Part:
    """Return what there is to see of a scan: its mean pattern and its positions.

    Args:
        digest: of the stored scan.
        arrays: its :func:`arrays_digest`; what was made from a scan belongs to it while its arrays are the same.
    """
    files = {"diffraction.png": scan_preview(scan), **_thumbnail(SCAN, gallery_picture(scan_thumbnail(scan)))}
    count, height, width = scan.diffraction.shape
    card = Card(
        (("patterns", f"{count:,} of {height} x {width}"),),
        f"thumbnails/{SCAN}.webp",
        "mean pattern, and the scanned area by the order of acquisition",
        _PICTURE_RANKS[SCAN],
    )
    return _part(SCAN, digest, {}, files, card=card, version=arrays)


def reconstruction_part(
    scan: Scan,
    reconstruction: Reconstruction,
    digest: str = "",
    made_from: Mapping[str, str] | None = None,
    log_lines: Iterable[str] = (),
    arrays: str = "",
) -> Part:
    """Return what there is to see of a reconstruction: pictures, loss, metrics, settings and log.

    Args:
        scan: for the size of a pixel.
        digest: of the stored reconstruction.
        made_from: digests of the scan and of whatever else it was made from, by name.
        log_lines: without line ends.
        arrays: the :func:`arrays_digest` of the scan.
    """
    pixel_m = object_pixel_m(scan)
    metrics = reconstruction.metrics
    files = {
        "history.csv": csv_bytes(("epoch", "loss"), enumerate(reconstruction.loss.tolist(), 1)),
        "reconstructed_amplitude.png": amplitude_preview(reconstruction, pixel_m),
        "reconstructed_phase.png": phase_preview(reconstruction, pixel_m),
        "probe.png": probe_preview(reconstruction.probe, pixel_m),
        "loss.png": loss_preview(reconstruction.loss),
        **_thumbnail(RECONSTRUCTION, gallery_picture(reconstruction_thumbnail(reconstruction))),
    }
    card = Card(
        (("R-factor", f"{metrics['r_factor']:.3g}"),) if "r_factor" in metrics else (),
        f"thumbnails/{RECONSTRUCTION}.webp",
        "amplitude and phase of the object",
        _PICTURE_RANKS[RECONSTRUCTION],
    )
    return _part(
        RECONSTRUCTION,
        digest,
        made_from or {},
        files,
        tables={"metrics.csv": _metrics(metrics)},
        parameters=dict(reconstruction.config),
        log=tuple(log_lines),
        card=card,
        versions=_of_arrays(arrays),
    )


def resolution_part(
    frc: FrcResult,
    digest: str = "",
    made_from: Mapping[str, str] | None = None,
    log_lines: Iterable[str] = (),
    arrays: str = "",
) -> Part:
    """Return what there is to see of a Fourier ring correlation: the curve, and where it crosses the thresholds.

    Args:
        digest: of the stored resolution.
        made_from: digests of scan and reconstruction, by these names.
        log_lines: without line ends.
        arrays: the :func:`arrays_digest` of the scan.
    """
    svg = curve_svg(frc_curves(frc), "of Nyquist", frc_crossing(frc)).encode()
    files = {"frc.png": frc_preview(frc), **_thumbnail(RESOLUTION, svg, "svg")}
    card = Card((("resolution", resolution_text(frc)),), f"thumbnails/{RESOLUTION}.svg", "Fourier ring correlation")
    tables = {"metrics.csv": _metrics(frc.metrics())}
    return _part(
        RESOLUTION,
        digest,
        made_from or {},
        files,
        tables=tables,
        log=tuple(log_lines),
        card=card,
        versions=_of_arrays(arrays),
    )


def product_part(
    file: str,
    digest: str = "",
    made_from: Mapping[str, str] | None = None,
    object_: NDArray[np.complexfloating[Any, Any]] | None = None,
    pixel_size_m: float | None = None,
    arrays: str = "",
) -> Part:
    """Return what there is to see of a product.

    Args:
        file: its path relative to the folder of all outputs, such as ``ptychodus_products/star.h5``.
        object_: (M, K), of a product that arrived, of which nothing else is there to be seen.
        pixel_size_m: pitch of an object pixel, m.
        arrays: the :func:`arrays_digest` of the scan, of a product that was made from one.
    """
    picture = {} if object_ is None else _thumbnail(PRODUCT, gallery_picture(object_thumbnail(object_)))
    card = Card(
        (("pixel", quantity(pixel_size_m, "m")),) if pixel_size_m and object_ is not None else (),
        next(iter(picture), ""),
        "amplitude and phase of the object" if picture else "",
        _PICTURE_RANKS[PRODUCT],
        (("product", file),),
    )
    return _part(
        PRODUCT, digest or content_digest({file: b""}), made_from or {}, picture, card=card, versions=_of_arrays(arrays)
    )


def resolution_text(frc: FrcResult) -> str:
    """Return where the phases cross the half-bit threshold: in nm where the pixel size is known."""
    metrics = frc.metrics()
    fraction = metrics["frc_phase_half_bit"]
    at_most = "" if fraction < 1 else "at most " if "frc_phase_half_bit_nm" in metrics else "at least "
    if "frc_phase_half_bit_nm" in metrics:
        return f"{at_most}{metrics['frc_phase_half_bit_nm']:.3g} nm"
    return f"{at_most}{fraction:.3g} of Nyquist"


def unit_of(metric: str) -> str:
    """Return the unit at the end of a metric's name, else ``Nyquist`` for an FRC crossing and ``1`` for others.

    >>> unit_of("phase_psnr_dB"), unit_of("frc_phase_half_bit_nm"), unit_of("frc_phase_half_bit"), unit_of("r_factor")
    ('dB', 'nm', 'Nyquist', '1')
    """
    for unit in ("dB", "nm", "s", "px", "rad"):
        if metric.endswith(f"_{unit}"):
            return unit
    return "Nyquist" if metric.startswith("frc_") else "1"


def _metrics(metrics: Mapping[str, float]) -> Rows:
    return rows_of(("metric", "value", "unit"), ((name, value, unit_of(name)) for name, value in metrics.items()))


def _thumbnail(asset: str, content: bytes, ending: str = "webp") -> dict[str, bytes]:
    return {f"thumbnails/{asset}.{ending}": content}


def _of_arrays(arrays: str) -> dict[str, str]:
    return {SCAN: arrays} if arrays else {}


def _part(
    asset: str, digest: str, made_from: Mapping[str, str], files: Mapping[str, bytes], version: str = "", **more: Any
) -> Part:
    return Part(asset, digest, dict(made_from), version or digest or content_digest(files), files=files, **more)
