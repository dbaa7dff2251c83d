"""A simulated scan as a raw npz file, and the fields of its card."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from smalti.codecs.scan import Scan


def write_raw_npz(scan: Scan, path: str | Path) -> None:
    """Write a scan as a raw npz file under PtychoPINN's keys; equal scans give equal bytes.

    The file is complete or absent. One probe mode is written as (H, W), several as (P, H, W).

    Source: PtychoPINN ``docs/data_contracts.md``, section 1.
    """
    probe = scan.probe_guess
    arrays: dict[str, Any] = {
        "diffraction": scan.diffraction,
        "probeGuess": probe[0] if probe is not None and len(probe) == 1 else probe,
        "objectGuess": scan.object_guess,
        "xcoords": scan.xcoords,
        "ycoords": scan.ycoords,
        "scan_index": scan.scan_index,
        "bad_pixels": scan.bad_pixels,
        "Y": scan.patches,
    }
    path = Path(path)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".partial", delete=False) as file:
        try:
            np.savez(file, **{key: array for key, array in arrays.items() if array is not None})
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def card_fields(scan: Scan) -> dict[str, Any]:
    """Return the fields of a card (``smalti.scans.card.Card``) for the raw file of a scan."""
    fields = scan.metadata.model_dump(mode="json", exclude_none=True)
    return {
        **{key: fields[key] for key in ("name", "title", "source", "version", "licence")},
        "reading": {
            "diffraction": {"quantity": "amplitude", "dc": "centre", "stack_axis": "first"},
            "positions": {"xcoords": "xcoords", "ycoords": "ycoords", "unit": "px"},
            "object": {"role": fields.get("object_role", "guess")},
        },
        "physics": {
            "far_field": scan.metadata.far_field,
            **{key: stated for key, stated in fields.items() if isinstance(stated, dict)},
        },
    }
