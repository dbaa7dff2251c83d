"""Laws of exported weights: a zip of HDF5 and JSON that other programs read, and that comes back to the bit."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from smalti import BFloat16, Checkpoint
from smalti.errors import Damaged, NotFound, Refused
from smalti.training import export_weights, read_weights

WEIGHTS = {
    "layers.0.weight": np.arange(6, dtype="f4").reshape(2, 3),
    "layers.0.bias": BFloat16(np.array([0x3F80, 0x7F80], "u2")),
    "phase": np.array([1 + 2j], "c8"),
    "mask": np.array([True, False]),
    "scale": np.array(3.0, "f2"),
}


def a_checkpoint() -> Checkpoint:
    config = {"model_type": "ptychography", "window": 64}
    return Checkpoint(WEIGHTS, {"step": np.array(1)}, config, {"epoch": 3}, tokenizer='{"model": {"Ä": 0}}')


def test_weights_configuration_and_tokenizer_come_back(tmp_path: Path) -> None:
    path = export_weights(a_checkpoint(), tmp_path)
    assert path == tmp_path / "wts.h5.zip"
    back = read_weights(tmp_path)
    assert back.model.keys() == WEIGHTS.keys()
    for name, tensor in WEIGHTS.items():
        found = back.model[name]
        assert type(found) is type(tensor)
        bits = [getattr(one, "bits", one) for one in (found, tensor)]
        assert bits[0].dtype == bits[1].dtype
        np.testing.assert_array_equal(*bits)
    assert (back.config, back.tokenizer) == (a_checkpoint().config, a_checkpoint().tokenizer)
    assert (back.optimizer, back.state) == ({}, {})


def test_h5py_and_zipfile_alone_read_it(tmp_path: Path) -> None:
    path = export_weights(a_checkpoint(), tmp_path / "deep" / "mine.zip")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["weights.h5", "config.json", "tokenizer.json"]
        assert json.loads(archive.read("config.json")) == a_checkpoint().config
        with h5py.File(io.BytesIO(archive.read("weights.h5"))) as file:
            np.testing.assert_array_equal(file["layers.0.weight"][()], WEIGHTS["layers.0.weight"])
            assert file["layers.0.bias"].attrs["dtype"] == "bfloat16"


def test_an_export_is_never_written_over(tmp_path: Path) -> None:
    path = export_weights(a_checkpoint(), tmp_path)
    before = path.read_bytes()
    with pytest.raises(Refused, match=r"wts.h5.zip exists already; name another place"):
        export_weights(a_checkpoint(), path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["wts.h5.zip"]


def test_what_is_no_whole_export_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no file .*wts.h5.zip; export_weights writes one"):
        read_weights(tmp_path)
    path = export_weights(a_checkpoint(), tmp_path)
    content = path.read_bytes()
    path.chmod(0o644)
    for damaged in (b"", content[:-30], content[:60] + bytes(60) + content[120:]):
        path.write_bytes(damaged)
        with pytest.raises(Damaged, match=r"is no whole export of weights \(.*\); export them again"):
            read_weights(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "[]")
    with pytest.raises(Damaged, match=r"is no whole export of weights"):
        read_weights(path)


def test_importing_training_imports_no_mlx_and_neither_does_saving_or_exporting_arrays(tmp_path: Path) -> None:
    program = """
import sys
import smalti.training
heavy = {"mlx", "h5py", "pandas", "pyarrow", "rich"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from smalti.training import *
import numpy as np
path = save_checkpoint({"w": np.ones(2)}, {"loss": 1.0}, sys.argv[1] + "/c", config={"model_type": "m"})
export_weights(load_checkpoint(path), sys.argv[1])
list_checkpoints(sys.argv[1] + "/")
assert "mlx" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
