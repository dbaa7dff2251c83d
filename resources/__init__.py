"""What assets are given: a store, a way to keep values in it, and a way to compute; wired in one place."""

from resources.compute import Compute
from resources.ingest import Ingest
from resources.io_manager import StoreIOManager
from resources.settings import SettingsResource
from resources.store import StoreResource

COMPUTE_POOL = "compute"  # steps that use every core: one at a time

__all__ = ["COMPUTE_POOL", "Compute", "Ingest", "SettingsResource", "StoreIOManager", "StoreResource", "local"]


def local() -> dict[str, object]:
    """One machine: the store is a folder, heavy work runs in child processes."""
    store = StoreResource()
    return {
        "io_manager": StoreIOManager(store=store),
        "store": store,
        "compute": Compute(store=store),
        "ingest": Ingest(store=store),
        "settings": SettingsResource(),
    }
