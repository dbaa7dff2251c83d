"""A huge array of zeros in a store, made without writing them: the one place here that knows how a store keeps things.

Everything else in this benchmark goes through ``open_store``. When the format of the store changes, this follows it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from smalti import digest, open_store
from smalti.codecs.array import npy_header
from smalti.store import record as records

ROW_NBYTES = 65536


def write_sparse_array(folder: Path, nbytes: int) -> str:
    """Keep uint8 zeros (N, 65536) in the store in ``folder`` as a file with a hole, and return their address.

    A small array of the same kind is put first; the record of the huge one is made from its record.
    """
    store, rows = open_store(folder), nbytes // ROW_NBYTES
    small = store.record(store.put(np.zeros((1, ROW_NBYTES), np.uint8)))
    file_header = npy_header((rows, ROW_NBYTES), np.dtype(np.uint8))
    header = {**small.header, "shape": [rows, ROW_NBYTES]}
    canonical_header = records.canonical.dumps(header)
    leaf_ids, sizes = small.leaf_ids * rows, small.packed_sizes * rows
    record = replace(
        small,
        address=digest.address(canonical_header, leaf_ids),
        header=header,
        canonical_header=canonical_header,
        nbytes=rows * ROW_NBYTES,
        buffers=((len(file_header), rows * ROW_NBYTES),),
        framing=records.blake3(file_header).hexdigest(),
        leaf_ids=leaf_ids,
        packed_sizes=sizes,
    )
    name = record.address.removeprefix(digest.PREFIX)
    place = folder / "data" / name[:2] / name
    place.mkdir(parents=True)
    for filename, content in records.dump(record).items():
        (place / filename).write_bytes(content)
    with (place / record.filename).open("wb") as file:
        file.write(file_header)
        file.truncate(len(file_header) + record.nbytes)
    return record.address
