"""Ptychodus products: written, read, validated, composed from reconstructions and converted from PtychoPINN scans."""

from smalti.codecs.product import RawBundle
from smalti.products.compose import product_from_reconstruction, raw_bundle_of
from smalti.products.convert import (
    ExportMeta,
    ImportedProduct,
    export_npz,
    export_product_from_rawdata,
    export_scan,
    import_product,
    import_product_to_rawdata,
)
from smalti.products.product_file import read_product, read_raw_bundle, write_product
from smalti.products.rawdata import RawData, write_rawdata_npz
from smalti.products.validate import validate_product

__all__ = [
    "ExportMeta",
    "ImportedProduct",
    "RawBundle",
    "RawData",
    "export_npz",
    "export_product_from_rawdata",
    "export_scan",
    "import_product",
    "import_product_to_rawdata",
    "product_from_reconstruction",
    "raw_bundle_of",
    "read_product",
    "read_raw_bundle",
    "validate_product",
    "write_product",
    "write_rawdata_npz",
]
