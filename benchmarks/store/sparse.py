"""A huge array of zeros in a store, made without writing them: the one place here that knows how a store keeps things.

Everything else in this benchmark goes through ``open_store``. When the format of the store changes, this follows it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from blake3 import blake3

from smalti import digest, open_store
from smalti.codecs.array import npy_header
from smalti.store.format.leaf_table import LeafTable
from smalti.store.format.record import address_of, canonical_header, dump

ROW_NBYTES = 65536


def write_sparse_array(folder: Path, nbytes: int) -> str:
    """Keep uint8 zeros (N, 65536) in the store in ``folder`` as a file with a hole, and return their address.

    A small array of the same kind is put first; the record of the huge one is made from its record.
    """
    store, rows = open_store(folder), nbytes // ROW_NBYTES
    small = store.record(store.put(np.zeros((1, ROW_NBYTES), np.uint8)))
    file_header = npy_header((rows, ROW_NBYTES), np.dtype(np.uint8))
    header = {**small.header, "shape": [rows, ROW_NBYTES]}
    plain, spelled = canonical_header(header)
    table = LeafTable.of(small.table.entries * rows)
    record = replace(
        small,
        address=address_of(header, spelled, table.top),
        header=header,
        plain_header=plain,
        canonical_header=spelled,
        nbytes=rows * ROW_NBYTES,
        buffers=((len(file_header), rows * ROW_NBYTES),),
        framing=blake3(file_header).hexdigest(),
        table=table,
    )
    name = record.address.removeprefix(digest.PREFIX)
    place = folder / "data" / name[:2] / name
    place.mkdir(parents=True, exist_ok=True)
    for filename, content in dump(record).items():
        (place / filename).write_bytes(content)
    with (place / record.filename).open("wb") as file:
        file.write(file_header)
        file.truncate(len(file_header) + record.nbytes)
    return record.address
