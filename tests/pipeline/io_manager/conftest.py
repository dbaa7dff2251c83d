"""The same situations for Dagster's own IO manager and for ours, each on an instance in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources import StoreIOManager, StoreResource
from smalti import Store


@dataclass(frozen=True)
class World:
    """An IO manager and what it works in.

    Attributes:
        of: stock or smalti.
    """

    of: str
    instance: dg.DagsterInstance
    resources: dict[str, Any]

    @property
    def store(self) -> Store:
        return self.resources["store"].open()

    def either(self, *, stock: Any, smalti: Any) -> Any:
        """Return what is right for the IO manager at hand: where the two differ, it is a decision."""
        return stock if self.of == "stock" else smalti

    def make(self, *assets: Any, only: list[Any] | None = None, **how: Any) -> dg.ExecuteInProcessResult:
        return dg.materialize(list(assets), instance=self.instance, resources=self.resources, selection=only, **how)

    def run(self, job: dg.JobDefinition) -> dg.ExecuteInProcessResult:
        return job.execute_in_process(instance=self.instance, resources=self.resources)

    def load(self, assets: list[Any], key: str, with_instance: bool = True, **how: Any) -> Any:
        defs = dg.Definitions(assets=assets, resources=self.resources)
        return defs.load_asset_value(key, instance=self.instance if with_instance else None, **how)

    def outcome(self, call: Callable[[], Any]) -> Any:
        """Return what a call returns, or the message of the first cause of what it raises."""
        try:
            return call()
        except Exception as error:
            while error.__cause__:
                error = error.__cause__
            return f"{type(error).__name__}: {error}"


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)  # as in a notebook
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(params=["stock", "smalti"])
def world(request: pytest.FixtureRequest, instance: dg.DagsterInstance, tmp_path: Path) -> World:
    return world_of(request.param, instance, tmp_path)


@pytest.fixture
def ours(instance: dg.DagsterInstance, tmp_path: Path) -> World:
    return world_of("smalti", instance, tmp_path)


def world_of(name: str, instance: dg.DagsterInstance, folder: Path) -> World:
    store = StoreResource(place=str(folder / "store"))
    stock = dg.FilesystemIOManager(base_dir=str(folder / "files"))
    manager = stock if name == "stock" else StoreIOManager(store=store)
    return World(name, instance, {"io_manager": manager, "store": store})
