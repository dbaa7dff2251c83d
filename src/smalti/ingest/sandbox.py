"""The sandbox that foreign files are read in: a child process with limits, whose end is a verdict on the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from smalti.compute import ChildLimits, ChildStopped, run_child
from smalti.contracts.violation import Violation, broken

# The interpreter and its libraries take 60 to 140 MB (measured), and a small file the rest; with the code of the
# libraries, which is not counted, that stays below 512 MB.
_MEMORY_NBYTES = 384 << 20
_CPU_S, _STORED_NBYTES_PER_CPU_S = 4, 1 << 20  # bzip2 inflates 1 MB of file in about 0.2 s
_LARGEST_TEMPORARY_NBYTES = 16 << 30
_CODES = {"memory": "file.too_much_memory", "time": "file.too_slow", "crash": "file.crashed_the_reader"}
_REMEDIES = {
    "memory": "cut it into smaller files, or write it again with less compression",
    "time": "cut it into smaller files, or write it again without compression",
    "crash": "copy the file again from its source, or write it again with numpy.savez or h5py",
}


def limits_for(nbytes: int) -> ChildLimits:
    """Return what reading a file of so many bytes may take; what it declares to hold, its reader adds."""
    cpu_s = _CPU_S + nbytes // _STORED_NBYTES_PER_CPU_S
    return ChildLimits(
        memory_nbytes=_MEMORY_NBYTES, cpu_s=cpu_s, file_nbytes=_LARGEST_TEMPORARY_NBYTES, wall_s=20 + 4.0 * cpu_s
    )


def in_sandbox(
    function: str, path: Path, request: Mapping[str, Any], run: Callable[..., dict[str, Any]] = run_child
) -> dict[str, Any]:
    """Return what ``function(request)`` answers about the foreign file ``path``, read in a limited child process.

    Raises:
        ContractBroken: the file took more memory or time than it may, or crashed what read it.
        SmaltiError: whichever the function raised.
    """
    nbytes = 0
    with suppress(OSError, ValueError):  # the child says in words why there is no such file
        nbytes = os.lstat(path).st_size
    try:
        return run(function, request, limits=limits_for(nbytes))
    except ChildStopped as stopped:
        found = f"a file that cannot be read: {str(stopped).rstrip('.')}"
        wanted, remedy = "one that is read within these limits", _REMEDIES[stopped.cause]
        violation = Violation(_CODES[stopped.cause], "the file", found, wanted, remedy)
        raise broken(path.name, [violation]) from stopped
