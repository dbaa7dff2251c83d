"""Ptychography scans: the measured Siemens star, whose file is the user's, and simulated ones."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.datasets.builtin.places import absent, folders
from smalti.datasets.card import DatasetCard
from smalti.datasets.competitions.files import first_file
from smalti.datasets.fetchers import Fetcher, check_options

if TYPE_CHECKING:
    from smalti.codecs.scan import Scan

_STAR = "siemens-star"
_STAR_FILE = "siemens-star-small.npz.bz2"
_STAR_CARD = DatasetCard(
    name=_STAR,
    title="Siemens star test pattern, 516 far-field patterns of 128 x 128, Advanced Photon Source, Velociprobe",
    source=f"https://github.com/AdvancedPhotonSource/tike/raw/8e1f9372/tests/data/{_STAR_FILE}",
    version="commit 8e1f9372",
    licence="BSD-3-style licence, Copyright (c) 2018 UChicago Argonne, LLC",
    processing=("pre-processed by its authors; how is not stated",),
    usage=f"fetch_dataset({_STAR!r}), with {_STAR_FILE} in data/external/{_STAR}/ or data/raw/",
    sha256="dbce7715c1d4a7c28a48f684dacc7d343fbc5d06fe993d6ea31714ffb5c68d3d",
    quality=("Photon energy, detector distance and pixel size are assumed: the file does not hold them.",),
)


def _fetch_star(path: str | Path | None = None) -> Scan:
    """Return the measured scan in canonical form.

    Raises:
        NotFound: its file is not where it is looked for.
        ContractBroken: the file is another one; its SHA-256 is said.
    """
    from smalti.scans.read import read_scan
    from smalti.scans.shipped import shipped_cards

    looked = folders(_STAR, path)
    file = first_file((*looked, *(folder / _STAR_FILE for folder in looked)))
    if file is None:
        raise absent(
            _STAR, [_STAR_FILE], looked, f"Download it from {_STAR_CARD.source}, or give its path (path=, --path)."
        )
    return read_scan(file, next(card for card in shipped_cards() if card.sha256 == _STAR_CARD.sha256))


def _simulate(kind: str, **options: Any) -> Scan:
    from smalti import simulation

    simulate = getattr(simulation, _SIMULATORS[kind])
    check_options(kind, simulate, kind, **options)
    scan: Scan = simulate(kind, **options)
    return scan


_SIMULATORS = {
    "simulated-scan": "simulate_scan",
    "simulated-star": "simulate_star",
    "simulated-near-field": "simulate_near_field",
}
_TITLES = {
    "simulated-scan": "Simulated far-field scan of two photographs, with Poisson noise; the object is known",
    "simulated-star": "Simulated far-field scan of a Siemens star, with Poisson noise; the object is known",
    "simulated-near-field": "Simulated near-field scan of a Siemens star, with Poisson noise; the object is known",
}
_PHOTOGRAPHS = "; the photographs are public domain (NASA) and CC0 (Lav Varshney)"


def _simulated(kind: str) -> Fetcher:
    card = DatasetCard(
        name=kind,
        title=_TITLES[kind],
        source=f"smalti.simulation.{_SIMULATORS[kind]}",
        version="1",
        licence="made on your machine: yours" + (_PHOTOGRAPHS if kind == "simulated-scan" else ""),
        processing=("computed when it is fetched; equal options give equal scans",),
        usage=f"fetch_dataset({kind!r}, seed=0, photons_per_pattern=1e6)",
        quality=("The probe guess is exact and the positions are without error, unlike in any measurement.",),
    )
    return Fetcher(kind, partial(_simulate, kind), card)


SCANS = (Fetcher(_STAR, _fetch_star, _STAR_CARD, from_your_file=True), *map(_simulated, _SIMULATORS))
