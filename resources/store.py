"""The content-addressed store, as a Dagster resource."""

import dagster as dg

from smalti import Store, open_store


class StoreResource(dg.ConfigurableResource):
    """Attributes:
    place: the folder that holds the store.
    """

    place: str

    def open(self) -> Store:
        """Return the store."""
        return open_store(self.place)
