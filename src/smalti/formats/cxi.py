"""Where CXI and NeXus ptychography files keep a scan, and that scan under plain names.

Layout: CXI 1.6, https://www.cxidb.org/cxi.html; NXcxi_ptycho, https://github.com/lightsources/NX-cxi-ptycho.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import shown
from smalti.formats.hdf5_survey import Survey
from smalti.formats.source import Source

Arrays = dict[str, NDArray[Any]]

_ENTRIES = ("entry_1", "entry", "entry1")
_JOULES_PER_EV = 1.602176634e-19  # exact, SI 2019
# name -> where it may be under the entry; also without "_1"
_PLACES = {
    "diffraction": ("data_1/data", "instrument_1/detector_1/data"),
    "translation": (
        "data_1/translation",
        "sample_1/geometry_1/translation",
        "instrument_1/detector_1/translation",
    ),
    "photon_energy_eV": ("instrument_1/source_1/energy", "instrument_1/beam_1/energy"),
    "detector_distance_m": ("instrument_1/detector_1/distance",),
    "detector_pixel_size_m": ("instrument_1/detector_1/x_pixel_size",),
    "bad_pixels": ("instrument_1/detector_1/mask",),
}
_HAS_SIGNAL = 0x1000  # the one bit of a CXI mask that speaks well of a pixel
# Ptychodus keeps its probe and object as images, and leaves a group of its own beside them.
_PTYCHODUS = {"probeGuess": ("image_1/data",), "objectGuess": ("image_2/data",)}
_METRES = {"m": 1.0, "meter": 1.0, "metre": 1.0, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "micron": 1e-6, "nm": 1e-9}
_ELECTRONVOLTS = {"J": 1 / _JOULES_PER_EV, "eV": 1.0, "keV": 1e3}
_UNITS = {
    "translation": ("m", _METRES),
    "detector_distance_m": ("m", _METRES),
    "detector_pixel_size_m": ("m", _METRES),
    "photon_energy_eV": ("J", _ELECTRONVOLTS),
}


def entry(found: Survey) -> str | None:
    """Return the group that holds the experiment, if this is such a file."""
    return next((name for name in _ENTRIES if name in found.groups or name in found.links), None)


def paths(found: Survey) -> dict[str, str]:
    """Return name -> path of what there is of a scan."""
    root = entry(found)
    ours = f"{root}/ptychodus" in found.groups
    places = {**_PLACES, **(_PTYCHODUS if ours else {})}
    present = {
        name: found.first(*(f"{root}/{form}" for place in under for form in (place, place.replace("_1", ""))))
        for name, under in places.items()
    }
    return {name: path for name, path in present.items() if path is not None}


def arrays(read: Arrays, found: Survey, source: Source) -> Arrays:
    """Return what was read in units of the names, with the translations under both of their meanings.

    CXI defines a translation of the sample; Ptychodus writes that of the probe there. They are mirror images, and
    no value tells them apart, so neither becomes ``xcoords``: a card chooses, with ``order: [x, y], unit: m``.
    """
    where = paths(found)
    converted = {name: _in_unit(name, array, where[name], found, source) for name, array in read.items()}
    if "bad_pixels" in converted:
        converted["bad_pixels"] = _bad_pixels(converted["bad_pixels"], where["bad_pixels"], source)
    translation = converted.pop("translation", None)
    if translation is None:
        return converted
    if translation.ndim != 2 or translation.shape[1] not in (2, 3):
        place, shape = f"dataset {where['translation']}", f"shape {translation.shape}"
        remedy = "save x, y and z of each pattern in one row"
        raise source.refuse("array.rank", place, shape, "shape (N, 3), in m", remedy)
    across = translation[:, :2].astype(np.float64)
    return {**converted, "positions_if_probe_moved": across, "positions_if_sample_moved": -across}


def _bad_pixels(mask: NDArray[Any], path: str, source: Source) -> NDArray[Any]:
    """Return where a mask of bit fields is bad; one mask for each pattern must say the same of all of them."""
    while mask.ndim > 2 and len(mask) and (mask == mask[0]).all():
        mask = mask[0]
    if mask.ndim != 2 or mask.dtype.kind not in "iub":
        shape, wanted = f"{mask.dtype} of shape {mask.shape}", "one (H, W) bit field for all patterns"
        remedy = "save the pixels that are bad in any pattern as one mask, or none"
        raise source.refuse("array.rank", f"dataset {path}", shape, wanted, remedy)
    return np.asarray((mask != 0) & (mask != _HAS_SIGNAL))


def _in_unit(name: str, array: NDArray[Any], path: str, found: Survey, source: Source) -> NDArray[Any]:
    if name not in _UNITS:
        return array
    usual, factors = _UNITS[name]
    dataset = found.dataset(path)
    said = usual
    if "units" in dataset.attrs and dataset.attrs.get_id("units").shape in ((), (1,)):
        value = np.asarray(dataset.attrs["units"]).reshape(-1)[0]
        said = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    if said not in factors:
        wanted = f"one of {', '.join(factors)}"
        raise source.refuse(
            "hdf5.unit", f"dataset {path}", f"the unit {shown(repr(said))}", wanted, "correct its attribute units"
        )
    return array * factors[said] if factors[said] != 1.0 else array
