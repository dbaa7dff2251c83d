"""A fast BLAS under mlx: the Linux wheel ships the reference one, 10 to 75 times slower.

The wheel finds ``cblas_sgemm`` and its kin by name, so a library that is loaded first, with its symbols made
global, answers instead. Nothing needs to be preloaded from outside the process.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from smalti.errors import NotFound, Refused, SmaltiError, Unavailable

SYSTEM_LIBRARY = "libopenblas.so.0"
REQUIRED_SYMBOLS = ("cblas_sgemm", "cblas_dgemm", "cblas_cgemm")
FAST_GFLOPS = 10.0


@dataclass(frozen=True, slots=True)
class Blas:
    """The BLAS that mlx will use in this process; recorded with every run, since it decides the last bits.

    Attributes:
        name: ``openblas``, ``accelerate``, ``reference``, or the file name given in ``SMALTI_BLAS``.
        version: the wheel's version or the library's path; empty where the system does not say.
        threads: how many threads it uses; None where the system decides.
        fast: whether it is an optimised library.
    """

    name: str
    version: str
    threads: int | None
    fast: bool


@functools.cache
def prepare_blas() -> Blas:
    """Return the BLAS mlx will use, after loading the first fast one found; call it before importing mlx.

    Order: the library that ``SMALTI_BLAS`` names, the system's OpenBLAS, the ``scipy-openblas32`` wheel, and
    last the reference BLAS inside the mlx wheel, with a warning. ``OPENBLAS_NUM_THREADS`` becomes 1 unless
    set: on shared cores a second thread makes it 1.5 to 5 times slower.

    Raises:
        Refused: ``SMALTI_BLAS`` names a file that is not a BLAS library.
    """
    if sys.platform == "darwin":
        return Blas("accelerate", "", None, fast=True)
    if "mlx.core" in sys.modules:
        return _reference("mlx was imported before prepare_blas() was called")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if chosen := os.environ.get("SMALTI_BLAS"):
        try:
            return _load(Path(chosen).name, chosen, chosen)
        except OSError as error:
            raise Refused(
                f"SMALTI_BLAS={chosen} cannot be used: {error}; name a library that exports cblas_sgemm."
            ) from error
    try:
        return _load("openblas", SYSTEM_LIBRARY, SYSTEM_LIBRARY)
    except OSError:
        pass  # not installed: the wheel is next
    try:
        wheel = _find_wheel()
        return _load("openblas", wheel.version, str(_renamed(wheel, cache_folder())))
    except (SmaltiError, OSError) as error:
        return _reference(str(error).rstrip("."))


def _load(name: str, version: str, path: str) -> Blas:
    """Load a library into the global namespace; OSError when it is missing or not a BLAS."""
    library = ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
    if absent := [symbol for symbol in REQUIRED_SYMBOLS if not hasattr(library, symbol)]:
        raise OSError(f"{path} exports no {', '.join(absent)}")
    threads = library.openblas_get_num_threads() if hasattr(library, "openblas_get_num_threads") else None
    return Blas(name, version, threads, fast=True)


def _reference(reason: str) -> Blas:
    warnings.warn(
        f"mlx will use its slow reference BLAS because {reason}; install OpenBLAS or scipy-openblas32.",
        RuntimeWarning,
        stacklevel=3,
    )
    return Blas("reference", "", 1, fast=False)


@dataclass(frozen=True, slots=True)
class _Wheel:
    library: Path
    version: str


def _find_wheel() -> _Wheel:
    spec = importlib.util.find_spec("scipy_openblas32")
    folders = (spec.submodule_search_locations if spec else None) or []
    for library in sorted(path for folder in folders for path in Path(folder).glob("lib/*.so")):
        return _Wheel(library, importlib.metadata.version("scipy-openblas32"))
    raise NotFound("there is neither a system OpenBLAS nor the scipy-openblas32 package")


def cache_folder() -> Path:
    """Return where prepared libraries are kept; they are made again when they are missing."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "smalti"
    return Path(os.environ.get("SMALTI_CACHE") or default) / "blas"


def _renamed(wheel: _Wheel, cache: Path) -> Path:
    """Return a copy of the wheel's library whose ``scipy_cblas_sgemm`` is called ``cblas_sgemm``, and so on.

    The copy is made once per version and content, complete or not at all.
    """
    content = wheel.library.read_bytes()
    target = cache / f"openblas-{wheel.version}-{hashlib.sha256(content).hexdigest()[:16]}.so"
    if target.exists():
        return target
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        library, names = Path(work, target.name), Path(work, "names")
        library.write_bytes(content)
        # Names stand NUL-terminated in the library's string table; patchelf skips those it does not export.
        prefixed = set(re.findall(rb"(?<=\0)scipy_\w+(?=\0)", content))
        names.write_bytes(b"".join(b"%s %s\n" % (n, n.removeprefix(b"scipy_")) for n in sorted(prefixed)))
        _patchelf("--rename-dynamic-symbols", str(names), "--set-soname", target.name, str(library))
        with library.open("rb") as file:
            os.fsync(file.fileno())
        library.replace(target)
    return target


def _patchelf(*arguments: str) -> None:
    program = shutil.which("patchelf", path=sysconfig.get_path("scripts")) or shutil.which("patchelf")
    if program is None:
        raise NotFound("the patchelf program, which prepares the scipy-openblas32 library, is not installed")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"patchelf failed with status {done.returncode}: {done.stderr.strip()}")


def measure(request: Mapping[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:  # noqa: ARG001
    """Return the fields of :class:`Blas` and ``gflops``; a function for :func:`smalti.compute.run_child`."""
    return asdict(prepare_blas()) | {"gflops": measure_matmul_gflops()}


def measure_matmul_gflops(size: int = 1024, rounds: int = 5) -> float:
    """Return the best speed of a float32 matrix product, in 1e9 operations per second.

    Imports mlx: call :func:`prepare_blas` first. A fast BLAS passes ``FAST_GFLOPS``.
    """
    import mlx.core as mx

    matrix = mx.random.normal((size, size), key=mx.random.key(0))
    mx.eval(matrix @ matrix)
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        mx.eval(matrix @ matrix)
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds) / 1e9
