"""Splits of the tables that the tests share."""

from __future__ import annotations

import pytest

from smalti.tabular.split import TextSplit, split_rows
from tests.unit.tabular.tables import flowers, houses


@pytest.fixture(scope="session")
def flower_split() -> TextSplit:
    return split_rows(flowers(), "kind", flowers(30, seed=1).drop(columns="kind"), validation_fraction=0.2)


@pytest.fixture(scope="session")
def house_split() -> TextSplit:
    return split_rows(houses(), "price", houses(20, seed=1).drop(columns="price"), validation_fraction=0.2)
