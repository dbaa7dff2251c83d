"""The content-addressed store, as a Dagster resource."""

import dagster as dg
from pydantic import Field, PrivateAttr

from resources.run_config import validate_run_config
from resources.run_manifests import DIGEST
from smalti import Store, open_store
from smalti.errors import NotFound
from smalti.settings import Settings


class StoreResource(dg.ConfigurableResource):
    """The store of values, each kept once under the digest of its content."""

    place: str = Field("", description="The folder or URL of the store; empty: the one of the settings.")
    _instance: dg.DagsterInstance | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Remember whose records must agree with the store, and refuse a run whose config no step would accept."""
        self._instance = context.instance
        if context.run:
            validate_run_config(context.run.run_config)

    @property
    def location(self) -> str:
        """Where the store is."""
        return self.place or str(Settings().store)

    def open(self) -> Store:
        """Return the store; see :func:`begun`."""
        return begun(self.location, self._instance)


def begun(place: str, instance: dg.DagsterInstance | None) -> Store:
    """Return the store at a place; on a fresh machine an empty one is made.

    Raises:
        NotFound: there is none, but Dagster's records tell of values that were in it: its disk may not be mounted, and
            what is written to an empty store in its place would be lost from sight when it is.
    """
    store = open_store(place)
    if instance is not None and not store.exists() and _has_values(instance):
        raise NotFound(
            f"there is no store at {store.place}, but Dagster's records tell of values in it; check that its disk is "
            f"mounted, restore it from a copy (smalti pull), or begin anew: smalti init --store {store.place}"
        )
    store.init()
    return store


def _has_values(instance: dg.DagsterInstance) -> bool:
    """Tell whether a materialization says that its value is in a store; that of an asset without a value does not."""
    events = (instance.get_latest_materialization_event(key) for key in instance.all_asset_keys())
    made = (event.asset_materialization for event in events if event)
    return any(of and DIGEST in of.metadata for of in made)
