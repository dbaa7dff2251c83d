"""Foreign bytes out of the store, read in the sandbox only."""

from typing import Any

import dagster as dg

from resources.store import StoreResource
from smalti.ingest.admit import staging_folder, value_of
from smalti.ingest.sandbox import Sandbox


class Ingest(dg.ConfigurableResource):
    """Reads stored originals as their contracts say, each in a confined child process."""

    store: dg.ResourceDependency[StoreResource]

    def value_of(self, raw: str, name: str | None = None) -> Any:
        """Return the value in a stored original; see :func:`smalti.ingest.admit.value_of`."""
        store = self.store.open()
        with Sandbox(staging_folder(store)) as sandbox:
            return value_of(store, raw, sandbox, name)
