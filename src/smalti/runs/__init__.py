"""Runs and what they read, wrote and ran on: the store people record them in, and the decorator that does so."""

from __future__ import annotations

from smalti.lazy_names import lazy_names

_HOME = {
    "DataReference": "smalti.runs.data_reference",
    "FlexibleDataStore": "smalti.runs.flexible_store",
    "RunManifest": "smalti.runs.run_manifest",
    "RunType": "smalti.runs.run_types",
    "StorageMode": "smalti.runs.storage_modes",
    "address_of": "smalti.runs.addresses",
    "capture_flexible_data": "smalti.runs.capture.decorator",
}

__all__ = [
    "DataReference",
    "FlexibleDataStore",
    "RunManifest",
    "RunType",
    "StorageMode",
    "address_of",
    "capture_flexible_data",
]

__getattr__ = lazy_names(__name__, _HOME)
