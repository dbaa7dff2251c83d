"""The content-addressed store: values, their addresses, and the folder that keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.lazy_names import lazy_names

if TYPE_CHECKING:
    from smalti.store.check import FsckReport, Problem
    from smalti.store.diff import Change, ContentChange, Diff, FieldChange, RowChange
    from smalti.store.gc import GcReport, Unneeded
    from smalti.store.long_work import Progress
    from smalti.store.manifests import Hop, Manifest, Step, UnreadManifests, Use, outdated
    from smalti.store.names import NameVersion
    from smalti.store.record import Record
    from smalti.store.stats import KindStats, NameStats, StoreStats
    from smalti.store.store import Store
    from smalti.store.transfer import TransferReport
    from smalti.store.values import Buffer, Encoded, Ref, Tree

# Where each name lives; imported when first used, so that storing a folder of files waits for nothing else.
_HOME = {
    "Buffer": "smalti.store.values",
    "Change": "smalti.store.diff",
    "ContentChange": "smalti.store.diff",
    "Diff": "smalti.store.diff",
    "Encoded": "smalti.store.values",
    "FieldChange": "smalti.store.diff",
    "FsckReport": "smalti.store.check",
    "GcReport": "smalti.store.gc",
    "Hop": "smalti.store.manifests",
    "KindStats": "smalti.store.stats",
    "Manifest": "smalti.store.manifests",
    "NameStats": "smalti.store.stats",
    "NameVersion": "smalti.store.names",
    "Problem": "smalti.store.check",
    "Progress": "smalti.store.long_work",
    "Record": "smalti.store.record",
    "Ref": "smalti.store.values",
    "RowChange": "smalti.store.diff",
    "Step": "smalti.store.manifests",
    "Store": "smalti.store.store",
    "StoreStats": "smalti.store.stats",
    "TransferReport": "smalti.store.transfer",
    "Tree": "smalti.store.values",
    "Unneeded": "smalti.store.gc",
    "UnreadManifests": "smalti.store.manifests",
    "Use": "smalti.store.manifests",
    "outdated": "smalti.store.manifests",
}

__all__ = [
    "Buffer",
    "Change",
    "ContentChange",
    "Diff",
    "Encoded",
    "FieldChange",
    "FsckReport",
    "GcReport",
    "Hop",
    "KindStats",
    "Manifest",
    "NameStats",
    "NameVersion",
    "Problem",
    "Progress",
    "Record",
    "Ref",
    "RowChange",
    "Step",
    "Store",
    "StoreStats",
    "TransferReport",
    "Tree",
    "Unneeded",
    "UnreadManifests",
    "Use",
    "outdated",
]

__getattr__ = lazy_names(__name__, _HOME)
