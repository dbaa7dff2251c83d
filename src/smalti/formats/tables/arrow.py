"""A table out of an Arrow file or stream, each batch validated before anything follows its offsets."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pyarrow

from smalti.formats.content import TableContent
from smalti.formats.source import Source
from smalti.formats.tables.columns import gathered, name_warnings, require_names

_WANTED = "a whole Arrow file"
_FILE_MAGIC = b"ARROW1"


def read(source: Source, _wanted: Collection[str] | None = None) -> TableContent:
    """Return the table, in the types that the file states."""
    with source.mapped("the file", _WANTED):
        head = source.file.read(8)
        source.file.seek(0)
        opened = pyarrow.PythonFile(source.file, "r")
        options = pyarrow.ipc.IpcReadOptions(use_threads=False)
        if head.startswith(_FILE_MAGIC):
            file = pyarrow.ipc.open_file(opened, options=options)
            count, schema = file.num_record_batches, file.schema
            batches: Iterator[pyarrow.RecordBatch] = (file.get_batch(i) for i in range(count))
        elif int.from_bytes(head[4:], "little") > source.nbytes:
            raise ValueError("its first message is longer than the file")
        else:
            stream = pyarrow.ipc.open_stream(opened, options=options)
            schema, batches = stream.schema, iter(stream)
        require_names(schema.names, source)
        source.claim("the table", source.nbytes, "write it again in several files")
        return TableContent(gathered(batches, schema, source), violations=tuple(name_warnings(schema.names)))
