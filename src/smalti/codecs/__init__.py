"""How values become objects and trees: arrays, tables, bytes, documents, weights, scans, checkpoints, products."""

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
