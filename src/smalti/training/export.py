"""The weights of a checkpoint as one ``wts.h5.zip``, the archive in which PtychoPINN keeps a trained model.

The zip holds ``weights.h5``, with a dataset for each weight, ``config.json``, what the model is, and, where there is
one, ``tokenizer.json``. No pickle: where PtychoPINN writes its parameters with dill, this is JSON. HDF5 has no
bfloat16: such a weight is a dataset of its bits, uint16, with the attribute ``dtype`` = ``bfloat16``.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from smalti import canonical
from smalti.codecs.array import BFLOAT16, BFloat16, plain_array
from smalti.codecs.checkpoint import TOKENIZER, Checkpoint
from smalti.codecs.checkpoint_folder import CONFIG
from smalti.errors import Damaged, NotFound, Refused
from smalti.store.commit import create_file, machine_errors, make_folder, sync

FILENAME = "wts.h5.zip"
_WEIGHTS = "weights.h5"


def export_weights(checkpoint: Checkpoint, path: str | Path) -> Path:
    """Write weights and configuration of a checkpoint to a new zip file and return its path.

    Args:
        path: of the file, or an existing folder, in which it is called ``wts.h5.zip``.

    Raises:
        Refused: the file exists, or HDF5 or JSON cannot hold a part of it.
        Unavailable: the machine did not let it be written; nothing was left behind.
    """
    target = Path(path) / FILENAME if Path(path).is_dir() else Path(path)
    members = {
        _WEIGHTS: _hdf5(checkpoint.model),
        CONFIG: json.dumps(canonical.normalise(checkpoint.config, "the configuration"), indent=2).encode(),
    }
    if checkpoint.tokenizer:
        members[TOKENIZER] = checkpoint.tokenizer.encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            zipped.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    with machine_errors(f"exporting weights to {target}"):
        make_folder(target.parent)
        if not create_file(target, [archive.getbuffer()]):
            raise Refused(f"{target} exists already; name another place.")
        sync(target.parent)
    return target


def read_weights(path: str | Path) -> Checkpoint:
    """Return what ``export_weights`` wrote: a checkpoint to predict with; without optimizer and state, not to resume.

    The file is taken for one of your own; what comes from elsewhere, let arrive instead.

    Args:
        path: of the file, or a folder with a ``wts.h5.zip``.

    Raises:
        NotFound: there is no such file.
        Damaged: it is no such archive, or a part of it is missing or cut.
    """
    source = Path(path) / FILENAME if Path(path).is_dir() else Path(path)
    if not source.is_file():
        raise NotFound(f"there is no file {source}; export_weights writes one.")
    try:
        with zipfile.ZipFile(source) as zipped:
            config = canonical.loads(zipped.read(CONFIG))
            tokenizer = zipped.read(TOKENIZER).decode() if TOKENIZER in zipped.namelist() else ""
            weights = _tensors(zipped.read(_WEIGHTS))
        if not isinstance(config, dict):
            raise ValueError(f"{CONFIG} is no JSON object")
    except (KeyError, OSError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise Damaged(f"{source} is no whole export of weights ({error}); export them again.") from error
    return Checkpoint(weights, {}, config, {}, tokenizer=tokenizer)


def _hdf5(tensors: Mapping[str, Any]) -> bytes:
    import h5py

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for name, tensor in tensors.items():
            array, dtype = plain_array(tensor)
            try:
                dataset = file.create_dataset(name, data=array)
            except (TypeError, ValueError) as error:
                raise Refused(
                    f"HDF5 cannot hold the weight {name!r} ({error}); give it another name or type."
                ) from error
            if dtype == BFLOAT16:
                dataset.attrs["dtype"] = BFLOAT16
    return content.getvalue()


def _tensors(content: bytes) -> dict[str, Any]:
    import h5py

    tensors: dict[str, Any] = {}

    def read(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            bits = item.attrs.get("dtype") == BFLOAT16
            tensors[name] = BFloat16(item[()]) if bits else np.asarray(item[()])

    with h5py.File(io.BytesIO(content), "r") as file:
        file.visititems(read)
    return tensors
