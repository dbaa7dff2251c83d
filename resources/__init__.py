"""What assets are given: a store, a way to keep values in it, and a way to compute; wired in one place."""

from dagster_aws.s3 import S3Resource

from resources.compute import Compute
from resources.ingest import Ingest
from resources.io_manager import StoreIOManager
from resources.store import StoreResource
from smalti.settings import Settings

COMPUTE_POOL = "compute"  # steps that use every core: one at a time

__all__ = ["COMPUTE_POOL", "Compute", "Ingest", "StoreIOManager", "StoreResource", "local"]


def local() -> dict[str, object]:
    """One machine: the store is a folder, heavy work runs in child processes."""
    settings = Settings()
    store = StoreResource(place=str(settings.store))
    s3 = S3Resource(endpoint_url=settings.s3_endpoint)
    return {
        "io_manager": StoreIOManager(store=store),
        "store": store,
        "compute": Compute(store=store),
        "ingest": Ingest(store=store),
        "s3": s3,
    }
