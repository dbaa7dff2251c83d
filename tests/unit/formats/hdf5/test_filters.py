"""Chunks that detectors compress are read with hdf5plugin where it is installed; else the message says the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalti.errors import ContractBroken
from smalti.formats import read_arrays
from smalti.formats.hdf5.filters import FROM_PLUGIN, filter_breaches, plugin_filters
from tests.unit.formats.hostile.making import sound

hdf5plugin = pytest.importorskip("hdf5plugin")
COMPRESSIONS = {
    "bitshuffle with LZ4": hdf5plugin.Bitshuffle,
    "bitshuffle with Zstandard": lambda: hdf5plugin.Bitshuffle(cname="zstd"),
    "Blosc": hdf5plugin.Blosc,
    "Blosc2": hdf5plugin.Blosc2,
    "LZ4": hdf5plugin.LZ4,
    "Zstandard": hdf5plugin.Zstd,
    "bzip2": hdf5plugin.BZip2,
}


def compressed(path: Path, how: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("diffraction", data=sound()["diffraction"], chunks=(1, 16, 16), compression=how)
    return path


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_what_detectors_compress_is_read_with_hdf5plugin(tmp_path: Path, name: str) -> None:
    read = read_arrays(compressed(tmp_path / "scan.h5", COMPRESSIONS[name]()))
    np.testing.assert_array_equal(read["diffraction"], sound()["diffraction"])


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_without_hdf5plugin_the_message_says_what_to_install_and_how_to_repack(tmp_path: Path, name: str) -> None:
    with h5py.File(compressed(tmp_path / "scan.h5", COMPRESSIONS[name]())) as file:
        [violation] = filter_breaches(file["diffraction"], "dataset diffraction", registered=frozenset)
    assert violation.code == "hdf5.filter"
    assert name.split(" with ", maxsplit=1)[0] in violation.found
    assert 'pip install "smalti[hdf5]"' in violation.remedy
    assert "h5repack -f GZIP=4 old.h5 new.h5" in violation.remedy


def test_a_filter_of_another_plugin_is_refused_even_where_it_is_registered(tmp_path: Path) -> None:
    with h5py.File(compressed(tmp_path / "scan.h5", hdf5plugin.Zfp()), "r") as file:
        [violation] = filter_breaches(file["diffraction"], "dataset diffraction")
    assert "ZFP (filter 32013)" in violation.found
    assert "pip" not in violation.remedy


def test_plain_chunks_ask_for_no_plugin(tmp_path: Path) -> None:
    def asked() -> frozenset[int]:
        raise AssertionError("a plugin was asked for")

    with h5py.File(compressed(tmp_path / "scan.h5", "gzip")) as file:
        assert not list(filter_breaches(file["diffraction"], "dataset diffraction", registered=asked))


def test_chunks_that_are_not_what_their_filter_says_are_refused_and_not_read_as_they_are(tmp_path: Path) -> None:
    """Bare bytes under the name of bitshuffle with LZ4, as a writer without the plugin leaves them."""
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((1, 16, 16))
    creation.set_filter(32008, h5py.h5z.FLAG_OPTIONAL, (0, 2))
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        space = h5py.h5s.create_simple((2, 16, 16))
        dataset = h5py.h5d.create(file.id, b"diffraction", h5py.h5t.IEEE_F32LE, space, creation)
        for i in range(2):
            dataset.write_direct_chunk((i, 0, 0), np.random.default_rng(i).bytes(1024))
    with pytest.raises(ContractBroken, match=r"bitshuffle \(filter 32008\) cannot undo.*h5repack"):
        read_arrays(tmp_path / "scan.h5")


READER = """
import sys
sys.modules["hdf5plugin"] = None  # not installed
from pathlib import Path
from smalti.formats import read_arrays
read_arrays(Path(sys.argv[1]))
"""


def test_a_filter_in_a_folder_of_plugins_is_never_loaded(tmp_path: Path) -> None:
    path = compressed(tmp_path / "scan.h5", hdf5plugin.Zstd())
    environment = {**os.environ, "HDF5_PLUGIN_PATH": hdf5plugin.PLUGIN_PATH}
    done = subprocess.run(
        [sys.executable, "-c", READER, str(path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "compression by Zstandard (filter 32015)" in done.stderr


def test_the_folders_of_plugins_are_as_before_afterwards() -> None:
    before = [h5py.h5pl.get(i) for i in range(h5py.h5pl.size())]
    assert plugin_filters() <= set(FROM_PLUGIN)
    assert [h5py.h5pl.get(i) for i in range(h5py.h5pl.size())] == before
