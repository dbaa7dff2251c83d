"""The public list: what `smalti` offers, and that offering it costs nothing until it is used."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from types import ModuleType

import pytest

import smalti
from smalti import errors, runs


def test_the_public_list_is_this() -> None:
    assert smalti.__all__ == [
        "BFloat16",
        "Checkpoint",
        "Directory",
        "LazyArray",
        "LazyTable",
        "Product",
        "RawFile",
        "Reconstruction",
        "Ref",
        "Scan",
        "Store",
        "Tree",
        "Weights",
        "open_store",
        "set_root_dir",
    ]


def test_the_public_list_of_runs_is_this() -> None:
    assert runs.__all__ == [
        "DataReference",
        "FlexibleDataStore",
        "RunManifest",
        "RunType",
        "StorageMode",
        "address_of",
        "capture_flexible_data",
    ]


@pytest.mark.parametrize("package", [smalti, runs])
def test_every_public_name_is_there(package: ModuleType) -> None:
    assert all(getattr(package, name) is not None for name in package.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error_that_lists_the_others() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'close_store'; it offers BFloat16, Checkpoint"):
        _ = smalti.close_store


def test_importing_smalti_loads_nothing_heavy() -> None:
    program = "import sys, smalti, smalti.runs; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not {"numpy", "mlx", "pandas", "h5py", "pydantic", "dagster"} & set(loaded.split("'"))


def test_every_error_is_a_smalti_error_and_resembles_a_built_in_one() -> None:
    tree = {
        errors.NotFound: LookupError,
        errors.Ambiguous: errors.NotFound,
        errors.Refused: ValueError,
        errors.ContractBroken: errors.Refused,
        errors.Damaged: OSError,
        errors.Unavailable: OSError,
    }
    for error, kin in tree.items():
        assert issubclass(error, errors.SmaltiError)
        assert issubclass(error, kin)


def test_no_installed_distribution_owns_the_folders_of_the_application() -> None:
    owners = importlib.metadata.packages_distributions()
    assert not {"assets", "resources", "jobs", "sensors", "definitions"} & owners.keys()
