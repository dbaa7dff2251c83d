"""Where arrays lie in the bytes of a container file: one module for each format, and ``arrays_in``, which finds it.

HDF5 is not among them: where its datasets lie only its own library can tell, which reads no foreign bytes here
(``smalti.formats.hdf5.storage``, in the sandbox). Nor is Arrow: its buffers are parts of columns, not arrays.
"""

from __future__ import annotations

from smalti.codecs.containers.npy import npy_arrays
from smalti.codecs.containers.npz import npz_arrays
from smalti.codecs.containers.safetensors import safetensors_arrays
from smalti.codecs.containers.sound import sound_arrays
from smalti.store.values import ArrayInside

__all__ = ["arrays_in", "sound_arrays"]

_HEAD_NBYTES = 10  # up to the first name in the table of safetensors, behind its length


def arrays_in(data: memoryview) -> tuple[ArrayInside, ...]:
    """Return the arrays that lie in the bytes of an NPY, NPZ or safetensors file as a store would keep them.

    Left out are arrays that are compressed, big-endian or in Fortran order, hold Python objects, are smaller than 64
    KiB, or overlap. Reads headers alone, and the bytes of booleans. Of bytes that are no such file, or a broken or
    hostile one, returns those that can be there, or none; it never raises.

    Args:
        data: contiguous bytes; a mapped file will do.
    """
    head = bytes(data[:_HEAD_NBYTES])
    try:
        if head.startswith(b"PK\x03\x04"):
            return sound_arrays(npz_arrays(data), data)
        if head.startswith(b"\x93NUMPY"):
            return sound_arrays(npy_arrays(data), data)
        if head.endswith(b'{"'):
            return sound_arrays(safetensors_arrays(data), data)
    except Exception:  # whatever a parser says to nonsense: then no array is known to be there
        return ()
    return ()
