"""Smalti: datasets, checkpoints and products stored once by content, verified on every read."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smalti.codecs import Checkpoint, LazyArray, Product, RawFile, Reconstruction, Scan, Weights
    from smalti.store import Ref, Store, Tree

# Where each public name lives; imported when first used, so that `import smalti` stays light.
_HOME = {
    "Checkpoint": "smalti.codecs",
    "LazyArray": "smalti.codecs",
    "Product": "smalti.codecs",
    "RawFile": "smalti.codecs",
    "Reconstruction": "smalti.codecs",
    "Ref": "smalti.store",
    "Scan": "smalti.codecs",
    "Store": "smalti.store",
    "Tree": "smalti.store",
    "Weights": "smalti.codecs",
}

__all__ = [
    "Checkpoint",
    "LazyArray",
    "Product",
    "RawFile",
    "Reconstruction",
    "Ref",
    "Scan",
    "Store",
    "Tree",
    "Weights",
    "open_store",
]


def open_store(where: str | Path = "store") -> Store:
    """Open the store in a folder; it is created when the first value is put.

    >>> import numpy as np, tempfile
    >>> store = open_store(tempfile.mkdtemp())
    >>> ref = store.put(np.arange(3), name="numbers")
    >>> store.get("numbers")
    array([0, 1, 2])

    Raises:
        Refused: ``where`` is not a folder.
    """
    from smalti.codecs import CODECS
    from smalti.errors import Refused
    from smalti.store import Store
    from smalti.store.documents import LocalDocuments
    from smalti.store.local import LocalObjects

    if "://" in str(where):
        raise Refused(f"{where!s} is not a local folder; this version keeps stores in folders only.")
    root = Path(where).expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise Refused(f"{root} is a file, but a store is a folder; name another place.")
    return Store(LocalObjects(root), LocalDocuments(root), CODECS)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'smalti' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOME[name]), name)
