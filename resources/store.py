"""The content-addressed store, as a Dagster resource."""

import dagster as dg

from smalti import Store, open_store


class StoreResource(dg.ConfigurableResource):
    """Attributes:
    place: the folder that holds the store.
    """

    place: str

    def open(self) -> Store:
        """Return the store; where there is none yet, an empty one is made."""
        store = open_store(self.place)
        store.init()
        return store
