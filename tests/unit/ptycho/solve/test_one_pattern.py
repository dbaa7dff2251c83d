"""A scan of one pattern is reconstructed, with finite values everywhere, by whatever settings."""

from dataclasses import replace

import numpy as np
import pytest

from smalti import open_store
from smalti.codecs.scan import Scan
from smalti.errors import Refused
from smalti.ptycho.report.outputs import FILES, write_outputs
from smalti.ptycho.solve.solver import SolverSettings, solve
from smalti.ptycho.stored import frc_stored, solve_stored
from smalti.simulation import simulate_near_field, simulate_scan

SHORT = SolverSettings(epochs=20, batch=8)
MEASURED = replace(SHORT, loss="absolute", probe_modes=3, refine_positions_from=2)
SIDE = 32 + 2 * SHORT.padding


def first_pattern(scan: Scan) -> Scan:
    return replace(
        scan,
        diffraction=scan.diffraction[:1],
        xcoords=scan.xcoords[:1],
        ycoords=scan.ycoords[:1],
        scan_index=scan.scan_index[:1],
    )


@pytest.fixture(scope="module")
def scan() -> Scan:
    return first_pattern(simulate_scan("one", positions_per_side=3, window=32))


@pytest.mark.parametrize("probe_guess", [True, False])
@pytest.mark.parametrize("settings", [SHORT, MEASURED])
def test_it_is_solved_without_nan(scan, settings, probe_guess) -> None:
    found = solve(scan if probe_guess else replace(scan, probe_guess=None), settings)
    for name in ("object", "probe", "xcoords", "ycoords", "loss"):
        assert np.isfinite(getattr(found, name)).all(), name
    assert found.object.shape == (SIDE, SIDE)
    assert found.metrics.keys() == {"r_factor"}
    assert found.metrics["r_factor"] < 0.2


def test_it_is_solved_in_the_near_field_too() -> None:
    found = solve(first_pattern(simulate_near_field("near", positions_per_side=2, window=32)), SHORT)
    assert np.isfinite(found.object).all()
    assert found.metrics["r_factor"] < 0.2


def test_from_the_store_it_becomes_outputs_but_has_no_split_halves(scan, tmp_path) -> None:
    store = open_store(tmp_path / "store")
    request = {"store": str(tmp_path / "store"), "scan": store.put(scan).digest, "settings": {"epochs": 3}}
    made = store.get(solve_stored(request, lambda _: None)["digest"])
    assert np.isfinite(made.object).all()
    assert {path.name for path in write_outputs(tmp_path, scan, made).iterdir()} == FILES - {"frc.png", "older"}
    with pytest.raises(Refused, match="scan one has 1 pattern; two halves take at least 2"):
        frc_stored(request, lambda _: None)
