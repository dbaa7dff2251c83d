"""How values become objects and trees: arrays, tables, bytes, documents, weights, scans, checkpoints, products."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smalti.codecs.array import BFloat16
    from smalti.codecs.checkpoint import Checkpoint
    from smalti.codecs.folder import Folder
    from smalti.codecs.lazy_array import LazyArray
    from smalti.codecs.product import Product, ProductMetadata
    from smalti.codecs.rawfile import RawFile
    from smalti.codecs.reconstruction import Reconstruction
    from smalti.codecs.registry import CODECS, CodecTable, ObjectCodec, TreeCodec
    from smalti.codecs.scan import Scan, ScanMetadata, Stated
    from smalti.codecs.table import LazyTable
    from smalti.codecs.weights import Weights

# Where each name lives; imported when first used, so that storing a folder of files waits for nothing else.
_HOME = {
    "BFloat16": "smalti.codecs.array",
    "CODECS": "smalti.codecs.registry",
    "Checkpoint": "smalti.codecs.checkpoint",
    "CodecTable": "smalti.codecs.registry",
    "Folder": "smalti.codecs.folder",
    "LazyArray": "smalti.codecs.lazy_array",
    "LazyTable": "smalti.codecs.table",
    "ObjectCodec": "smalti.codecs.registry",
    "Product": "smalti.codecs.product",
    "ProductMetadata": "smalti.codecs.product",
    "RawFile": "smalti.codecs.rawfile",
    "Reconstruction": "smalti.codecs.reconstruction",
    "Scan": "smalti.codecs.scan",
    "ScanMetadata": "smalti.codecs.scan",
    "Stated": "smalti.codecs.scan",
    "TreeCodec": "smalti.codecs.registry",
    "Weights": "smalti.codecs.weights",
}

__all__ = [
    "CODECS",
    "BFloat16",
    "Checkpoint",
    "CodecTable",
    "Folder",
    "LazyArray",
    "LazyTable",
    "ObjectCodec",
    "Product",
    "ProductMetadata",
    "RawFile",
    "Reconstruction",
    "Scan",
    "ScanMetadata",
    "Stated",
    "TreeCodec",
    "Weights",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'smalti.codecs' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOME[name]), name)
