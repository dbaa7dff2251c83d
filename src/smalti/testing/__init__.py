"""What it takes to test against the store: a suite for backends, strategies for values, a model, and damage."""

import pytest

for _name in ("collection", "manifests", "safety", "values", "writing"):  # a broken law then shows both sides
    pytest.register_assert_rewrite(f"{__name__}.conformance_{_name}")
pytest.register_assert_rewrite(f"{__name__}.model")

from smalti.testing.damage import DAMAGES, FolderBytes, MemoryBytes  # noqa: E402
from smalti.testing.model import StoreMachine, form  # noqa: E402
from smalti.testing.suite import StoreSuite  # noqa: E402

__all__ = ["DAMAGES", "FolderBytes", "MemoryBytes", "StoreMachine", "StoreSuite", "form"]
