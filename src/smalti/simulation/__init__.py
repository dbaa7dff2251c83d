"""Simulated ptychography scans: a known object and probe, jittered positions, Poisson noise.

``simulate_scan`` has two photographs as object and is used by ``make run``; ``simulate_star`` has a Siemens star and is
used by the benchmark; ``simulate_near_field`` puts that star close to the detector. Equal arguments give equal scans:
everything random comes from ``seed``. The probe guess is exact; for other probe guesses, replace it::

    scan = simulate_star("star")
    replace(scan, probe_guess=probe_of(64, defocus=1.15)[None])  # 15 % too much defocus
    replace(scan, probe_guess=None)  # unknown
    replace(scan, patches=patches_of(scan))  # with true patches, for supervised training
"""

from smalti.simulation.exposure import SOURCE, patches_of
from smalti.simulation.near_field import simulate_near_field
from smalti.simulation.optics import PROBE_RADIUS, PUPIL_EDGE, PUPIL_RADIUS, STAR_PROBE_RADIUS, probe_of
from smalti.simulation.photographs import simulate_scan
from smalti.simulation.rawfile import card_fields, write_raw_npz
from smalti.simulation.star import interior, simulate_star

__all__ = [
    "PROBE_RADIUS",
    "PUPIL_EDGE",
    "PUPIL_RADIUS",
    "SOURCE",
    "STAR_PROBE_RADIUS",
    "card_fields",
    "interior",
    "patches_of",
    "probe_of",
    "simulate_near_field",
    "simulate_scan",
    "simulate_star",
    "write_raw_npz",
]
