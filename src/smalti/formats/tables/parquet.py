"""A table out of Parquet, whose footer is validated before a page is inflated."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow
from pyarrow import parquet

from smalti.formats.content import TableContent
from smalti.formats.source import Source
from smalti.formats.tables.columns import gathered, name_warnings, require_names

_WANTED = "a whole Parquet file"
_REMEDY = "write it again in several files"
_LARGEST_FOOTER_ENTRY = 16 << 20
_BATCH_ROWS = 1 << 16
_LEAST_NBYTES = 1 / 8  # a true or false takes one bit


def read(source: Source, _wanted: Collection[str] | None = None) -> TableContent:
    """Return the table, in the types that the file states; its rows must be as many as the footer says."""
    with source.mapped("the file", _WANTED):
        file = parquet.ParquetFile(
            pyarrow.PythonFile(source.file, "r"),
            thrift_string_size_limit=_LARGEST_FOOTER_ENTRY,
            thrift_container_size_limit=_LARGEST_FOOTER_ENTRY,
            page_checksum_verification=True,
        )
        footer, schema = file.metadata, file.schema_arrow
        require_names(schema.names, source)
        groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
        inflated = sum(group.total_byte_size for group in groups)
        least = int(footer.num_rows * footer.num_columns * _LEAST_NBYTES)
        if min((inflated, footer.num_rows, *(group.total_byte_size for group in groups))) < 0:
            raise ValueError("its footer has negative sizes")
        source.claim("the table", max(inflated, least), _REMEDY)
        batches = file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False)
        table = gathered(batches, schema, source)
        if table.num_rows != footer.num_rows:
            raise ValueError(f"its footer says {footer.num_rows} rows and there are {table.num_rows}")
        return TableContent(table, violations=tuple(name_warnings(schema.names)))
