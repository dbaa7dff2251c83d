"""The outputs of a reconstruction for people: metrics and losses as tables, pictures, settings and the log.

Files and names follow PtychoPINN's output convention, with text in place of pickles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan
from smalti.ingest.keys import file_key
from smalti.outputs.folder import PARAMETERS, csv_bytes, json_bytes, replace_folder
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
from smalti.store.commit import machine_errors

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
    }
)


def write_outputs(
    folder: Path,
    scan: Scan,
    reconstruction: Reconstruction,
    frc: FrcResult | None = None,
    log_lines: Iterable[str] = (),
    digests: Mapping[str, str] | None = None,
) -> Path:
    """Write the outputs of a scan to a folder of its own in ``folder``, replacing older ones; return its path.

    See :func:`output_files` for the arguments and :func:`smalti.outputs.folder.replace_folder` for the folder.

    Raises:
        Refused: the place is taken by the outputs of another scan, or by something else.
        Unavailable: the disk is full, or may not be written.
    """
    files = output_files(scan, reconstruction, frc, log_lines, digests or {})
    return replace_folder(folder, "scan", scan.metadata.name, files, FILES)


def read_log(folder: Path, scan: Scan) -> list[str]:
    """Return the log lines in the outputs of this scan, none where there are no outputs yet.

    Raises:
        Unavailable: they cannot be read.
    """
    path = folder / file_key(scan.metadata.name) / "logs" / "debug.log"
    with machine_errors(f"reading {path}"), suppress(FileNotFoundError):
        return path.read_text(errors="backslashreplace").splitlines()
    return []


def output_files(
    scan: Scan,
    reconstruction: Reconstruction,
    frc: FrcResult | None,
    log_lines: Iterable[str],
    digests: Mapping[str, str],
) -> dict[str, bytes]:
    """Return the content of each output file by its path; equal arguments give equal bytes.

    Args:
        frc: of the scan's split halves; without it there is no ``frc.png``.
        log_lines: for ``logs/debug.log``, without line ends.
        digests: of stored values, by name, for ``params.json``.
    """
    pixel_m = object_pixel_m(scan)
    metrics = {**reconstruction.metrics, **(frc.metrics() if frc else {})}
    parameters = {**reconstruction.config, "scan": scan.metadata.name, "digests": dict(digests)}
    files = {
        "metrics.csv": csv_bytes(
            ("metric", "value", "unit"), ((name, v, unit_of(name)) for name, v in metrics.items())
        ),
        "history.csv": csv_bytes(("epoch", "loss"), enumerate(reconstruction.loss.tolist(), 1)),
        PARAMETERS: json_bytes(parameters),
        "logs/debug.log": "".join(f"{line}\n" for line in log_lines).encode(errors="backslashreplace"),
        "reconstructed_amplitude.png": amplitude_preview(reconstruction, pixel_m),
        "reconstructed_phase.png": phase_preview(reconstruction, pixel_m),
        "probe.png": probe_preview(reconstruction.probe, pixel_m),
        "diffraction.png": scan_preview(scan),
        "loss.png": loss_preview(reconstruction.loss),
    }
    return files | ({"frc.png": frc_preview(frc)} if frc else {})


def unit_of(metric: str) -> str:
    """Return the unit at the end of a metric's name, else ``Nyquist`` for an FRC crossing and ``1`` for others.

    >>> unit_of("phase_psnr_dB"), unit_of("frc_phase_half_bit_nm"), unit_of("frc_phase_half_bit"), unit_of("r_factor")
    ('dB', 'nm', 'Nyquist', '1')
    """
    for unit in ("dB", "nm", "s", "px", "rad"):
        if metric.endswith(f"_{unit}"):
            return unit
    return "Nyquist" if metric.startswith("frc_") else "1"
