"""Smalti: datasets, checkpoints and products stored once by content, verified on every read."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from smalti.lazy_names import lazy_names

if TYPE_CHECKING:
    from smalti.codecs import (
        BFloat16,
        Checkpoint,
        LazyArray,
        LazyTable,
        Product,
        RawFile,
        Reconstruction,
        Scan,
        Weights,
    )
    from smalti.directory import Directory, set_root_dir
    from smalti.store import Ref, Store, Tree

# Where each public name lives; imported when first used, so that `import smalti` stays light.
_HOME = {
    "BFloat16": "smalti.codecs",
    "Checkpoint": "smalti.codecs",
    "Directory": "smalti.directory",
    "LazyArray": "smalti.codecs",
    "LazyTable": "smalti.codecs",
    "Product": "smalti.codecs",
    "RawFile": "smalti.codecs",
    "Reconstruction": "smalti.codecs",
    "Ref": "smalti.store",
    "Scan": "smalti.codecs",
    "Store": "smalti.store",
    "Tree": "smalti.store",
    "Weights": "smalti.codecs",
    "set_root_dir": "smalti.directory",
}

__all__ = [
    "BFloat16",
    "Checkpoint",
    "Directory",
    "LazyArray",
    "LazyTable",
    "Product",
    "RawFile",
    "Reconstruction",
    "Ref",
    "Scan",
    "Store",
    "Tree",
    "Weights",
    "open_store",
    "set_root_dir",
]


def open_store(where: str | Path = "store") -> Store:
    """Open a store: a folder, ``s3://bucket/prefix``, or ``memory:`` for one that ends with the process.

    A folder is created when the first value is put.

    >>> import numpy as np
    >>> store = open_store("memory:")
    >>> ref = store.put(np.arange(3), name="numbers")
    >>> store.get("numbers")
    array([0, 1, 2])

    Raises:
        Refused: ``where`` is none of these, or the bucket's server cannot keep a store safely.
        Unavailable: the bucket cannot be reached, or the folder may not be looked at.
    """
    from smalti.codecs import CODECS
    from smalti.errors import Refused
    from smalti.store import Store

    place = str(where)
    if place == "memory:":
        from smalti.store.backends.memory import MemoryBackend

        store = Store(MemoryBackend(), CODECS)
        store.init()
        return store
    if place.startswith("s3://"):
        from smalti.settings import Settings
        from smalti.store.backends.s3.backend import S3Backend
        from smalti.store.backends.s3.index import S3Index
        from smalti.store.documents import Documents
        from smalti.store.manifests.bucket_index import BucketManifests

        bucket = S3Backend.at(place, Settings().s3_endpoint)
        return Store(
            bucket,
            CODECS,
            S3Index(bucket),
            BucketManifests(Documents(bucket), bucket.identity),
            partial(open_store, place),
        )
    if "://" in place:
        raise Refused(f"{place} is no store; give a folder, s3://bucket/prefix or memory:")
    from smalti.store.backends.local.backend import LocalBackend
    from smalti.store.commit import machine_errors
    from smalti.store.manifests.local_index import LocalManifests
    from smalti.store.objects.index import LocalIndex

    root = Path(where).expanduser().absolute()
    folder = LocalBackend(root)
    with machine_errors(f"looking for a store at {root}"):
        if root.exists() and not root.is_dir():
            raise Refused(f"{root} is a file, but a store is a folder; name another place.")
        manifests = LocalManifests(folder)
    return Store(folder, CODECS, LocalIndex(root / "index.sqlite"), manifests, partial(open_store, root))


__getattr__ = lazy_names(__name__, _HOME)
