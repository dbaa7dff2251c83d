"""The folder of what came out of a scan: figures as tables, pictures, settings and the log, for people to look at.

Its files and their names follow PtychoPINN's output convention, with text in place of pickles.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from smalti.canonical import loads, normalise
from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan
from smalti.errors import Refused
from smalti.ingest.keys import file_key
from smalti.ptycho.evaluate.frc import FrcResult
from smalti.ptycho.evaluate.metrics import known_pixel_m
from smalti.ptycho.report.previews import (
    amplitude_preview,
    frc_preview,
    loss_preview,
    phase_preview,
    probe_preview,
    scan_preview,
)
from smalti.store.commit import alone, machine_errors, make_folder, sync, write_file

FILES = frozenset(
    {
        "metrics.csv",
        "history.csv",
        "params.json",
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
    """Write ``folder/<scan>/`` and return its path; equal content gives equal bytes.

    A reader sees the folder whole: it is written beside, and an older one is moved away only when the new one is
    complete; between these two renames there is none. The scan's name becomes a key, never a path.

    Args:
        folder: where the folders of all scans lie.
        frc: of the scan's halves; without it there is no ``frc.png``.
        log_lines: for ``logs/debug.log``, without line ends.
        digests: of what was stored, by name, for ``params.json``.

    Raises:
        Refused: the place is taken by another scan's outputs, or by something that was not written here.
        Unavailable: the disk is full, or may not be written.
    """
    key = file_key(scan.metadata.name)
    made, target, old = folder / f".{key}.part", folder / key, folder / f".{key}.old"
    files = _files(scan, reconstruction, frc, log_lines, digests or {})
    with machine_errors(f"writing {target}"):
        make_folder(folder)
        with alone(folder / ".lock"):
            replaced = _is_replaced(target, scan.metadata.name)
            for left_by_one_who_was_killed in (made, old):
                shutil.rmtree(left_by_one_who_was_killed, ignore_errors=True)
            for name, content in files.items():
                make_folder((made / name).parent)
                write_file(made / name, [content])
            sync(made / "logs")
            sync(made)
            if replaced:
                target.rename(old)
            made.rename(target)
            sync(folder)
            shutil.rmtree(old, ignore_errors=True)
    return target


def logged(folder: Path, scan: Scan) -> list[str]:
    """Return the log lines of this scan's outputs, none where there are no outputs yet.

    Raises:
        Unavailable: they cannot be read.
    """
    path = folder / file_key(scan.metadata.name) / "logs" / "debug.log"
    with machine_errors(f"reading {path}"), suppress(FileNotFoundError):
        return path.read_text(errors="backslashreplace").splitlines()
    return []


def _files(
    scan: Scan,
    reconstruction: Reconstruction,
    frc: FrcResult | None,
    log_lines: Iterable[str],
    digests: Mapping[str, str],
) -> dict[str, bytes]:
    """Return the content of each file by its path."""
    pixel_m = known_pixel_m(scan)
    figures = {**reconstruction.metrics, **(frc.figures() if frc else {})}
    params = {**reconstruction.config, "scan": scan.metadata.name, "digests": dict(digests)}
    files = {
        "metrics.csv": _table(("metric", "value", "unit"), ((name, v, unit_of(name)) for name, v in figures.items())),
        "history.csv": _table(("epoch", "loss"), enumerate(reconstruction.loss.tolist(), 1)),
        "params.json": _json(params),
        "logs/debug.log": "".join(f"{line}\n" for line in log_lines).encode(errors="backslashreplace"),
        "reconstructed_amplitude.png": amplitude_preview(reconstruction, pixel_m),
        "reconstructed_phase.png": phase_preview(reconstruction, pixel_m),
        "probe.png": probe_preview(reconstruction.probe, pixel_m),
        "diffraction.png": scan_preview(scan),
        "loss.png": loss_preview(reconstruction.loss),
    }
    return files | ({"frc.png": frc_preview(frc)} if frc else {})


def unit_of(figure: str) -> str:
    """Return the unit that a figure's name ends in; a correlation's crossing without one is a part of Nyquist.

    >>> unit_of("phase_psnr_dB"), unit_of("frc_phase_half_bit_nm"), unit_of("frc_phase_half_bit"), unit_of("r_factor")
    ('dB', 'nm', 'Nyquist', '1')
    """
    for unit in ("dB", "nm", "s", "px", "rad"):
        if figure.endswith(f"_{unit}"):
            return unit
    return "Nyquist" if figure.startswith("frc_") else "1"


def _table(columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def _json(value: Mapping[str, Any]) -> bytes:
    """Return JSON for people: indented, keys sorted."""
    return (json.dumps(normalise(value), sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()


def _is_replaced(target: Path, scan_name: str) -> bool:
    """Tell whether an older folder of the same scan is there.

    Raises:
        Refused: what is there is of another scan, or was not written by ``write_outputs``.
    """
    if not os.path.lexists(target):
        return False
    if target.is_dir() and not target.is_symlink():
        foreign = {path.name for path in target.iterdir()} - FILES
        if not foreign and _scan_name(target / "params.json") == scan_name:
            return True
    raise Refused(
        f"{target} is not an older folder of scan {scan_name!r} with nothing in it but outputs, so it is not replaced; "
        "move it away, or give the scan another name."
    )


def _scan_name(params: Path) -> str | None:
    """Return the scan that a ``params.json`` is about, None where there is no such thing."""
    try:
        document = loads(params.read_bytes())
    except (FileNotFoundError, Refused):
        return None
    name = document.get("scan") if isinstance(document, dict) else None
    return name if isinstance(name, str) else None
