"""Laws of choosing a BLAS: the first fast one, made once, and a plain warning where there is none."""

import subprocess
import sys
from pathlib import Path

import pytest

from smalti.compute import blas, run_child
from smalti.compute.blas import FAST_GFLOPS

linux = pytest.mark.skipif(sys.platform != "linux", reason="macOS brings Accelerate; nothing is chosen there")


def in_a_fresh_process(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_package_imports_no_heavy_library() -> None:
    code = (
        "import sys, smalti.compute;"
        "print({'mlx', 'numpy', 'scipy_openblas32'} & {m.split('.')[0] for m in sys.modules})"
    )
    assert in_a_fresh_process(code).stdout.strip() == "set()"


def test_mlx_multiplies_fast_in_a_child() -> None:
    found = run_child("smalti.compute.blas:measure", {})
    assert found["fast"]
    assert found["gflops"] > FAST_GFLOPS


@linux
def test_one_thread_unless_set_otherwise() -> None:
    code = "from smalti.compute import prepare_blas; print(prepare_blas().threads)"
    assert in_a_fresh_process(code, OPENBLAS_NUM_THREADS="").stdout.strip() != ""
    assert run_child("smalti.compute.blas:measure", {})["threads"] == 1


@linux
def test_the_environment_can_name_the_library(tmp_path: Path) -> None:
    library = blas._renamed(blas._find_wheel(), tmp_path)
    code = "from smalti.compute import prepare_blas; print(prepare_blas())"
    done = in_a_fresh_process(code, SMALTI_BLAS=str(library))
    assert f"Blas(name='{library.name}', version='{library}', threads=1, fast=True)" in done.stdout


@linux
def test_a_named_library_that_is_no_blas_is_refused() -> None:
    code = "from smalti.compute import prepare_blas; prepare_blas()"
    done = in_a_fresh_process(code, SMALTI_BLAS="libm.so.6")
    assert "Refused: SMALTI_BLAS=libm.so.6 cannot be used: libm.so.6 exports no cblas_sgemm" in done.stderr


@linux
def test_mlx_imported_too_early_is_told_in_one_sentence() -> None:
    code = "import mlx.core; from smalti.compute import prepare_blas; print(prepare_blas().fast)"
    done = in_a_fresh_process(code)
    assert done.stdout.strip() == "False"
    assert "slow reference BLAS because mlx was imported before prepare_blas() was called" in done.stderr


@linux
def test_without_any_fast_library_the_reference_is_used_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "in_the_way").write_text("")
    code = "from smalti.compute import blas; blas.SYSTEM_LIBRARY = 'libnone.so';print(blas.prepare_blas())"
    done = in_a_fresh_process(code, SMALTI_CACHE=str(tmp_path / "in_the_way"))
    assert "name='reference'" in done.stdout
    assert "fast=False" in done.stdout
    assert "mlx will use its slow reference BLAS because" in done.stderr


@linux
def test_the_wheel_library_is_prepared_once_and_whole(tmp_path: Path) -> None:
    wheel = blas._find_wheel()
    first = blas._renamed(wheel, tmp_path)
    made = first.stat().st_mtime_ns
    assert blas._renamed(wheel, tmp_path) == first
    assert first.stat().st_mtime_ns == made
    assert list(tmp_path.iterdir()) == [first]


@linux
def test_every_prefixed_symbol_gets_its_plain_name(tmp_path: Path) -> None:
    import ctypes

    library = ctypes.CDLL(str(blas._renamed(blas._find_wheel(), tmp_path)))
    for name in ("cblas_sgemm", "cblas_dgemm", "cblas_cgemm", "cblas_zgemm", "sgemm_", "dgesdd_"):
        assert hasattr(library, name)
        assert not hasattr(library, f"scipy_{name}")
