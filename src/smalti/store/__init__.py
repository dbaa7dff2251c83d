"""The content-addressed store: values, their addresses, and the folder that keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.lazy_names import lazy_names

if TYPE_CHECKING:
    from smalti.store.format.record import Record
    from smalti.store.long_work import Progress
    from smalti.store.maintenance.checked import Checked
    from smalti.store.maintenance.diff import Change, ContentChange, Diff, FieldChange, RowChange
    from smalti.store.maintenance.gc import GcReport, Unneeded
    from smalti.store.maintenance.health import StoreHealth
    from smalti.store.maintenance.problems import FsckReport, Problem, SampledReport
    from smalti.store.maintenance.retention import Outdated, Retention
    from smalti.store.maintenance.sampling import Sample
    from smalti.store.maintenance.stats import KindStats, NameStats, StoreStats
    from smalti.store.maintenance.transfer import TransferReport
    from smalti.store.manifests import Hop, Manifest, Step, UnreadManifests, Use, outdated
    from smalti.store.names import NameVersion
    from smalti.store.store import Store
    from smalti.store.values import Buffer, Encoded, Ref, Tree

# Where each name lives; imported when first used, so that storing a folder of files waits for nothing else.
_HOME = {
    "Buffer": "smalti.store.values",
    "Change": "smalti.store.maintenance.diff",
    "Checked": "smalti.store.maintenance.checked",
    "ContentChange": "smalti.store.maintenance.diff",
    "Diff": "smalti.store.maintenance.diff",
    "Encoded": "smalti.store.values",
    "FieldChange": "smalti.store.maintenance.diff",
    "FsckReport": "smalti.store.maintenance.problems",
    "GcReport": "smalti.store.maintenance.gc",
    "Hop": "smalti.store.manifests",
    "KindStats": "smalti.store.maintenance.stats",
    "Manifest": "smalti.store.manifests",
    "NameStats": "smalti.store.maintenance.stats",
    "NameVersion": "smalti.store.names",
    "Outdated": "smalti.store.maintenance.retention",
    "Problem": "smalti.store.maintenance.problems",
    "Progress": "smalti.store.long_work",
    "Record": "smalti.store.format.record",
    "Ref": "smalti.store.values",
    "Retention": "smalti.store.maintenance.retention",
    "RowChange": "smalti.store.maintenance.diff",
    "Sample": "smalti.store.maintenance.sampling",
    "SampledReport": "smalti.store.maintenance.problems",
    "Step": "smalti.store.manifests",
    "Store": "smalti.store.store",
    "StoreHealth": "smalti.store.maintenance.health",
    "StoreStats": "smalti.store.maintenance.stats",
    "TransferReport": "smalti.store.maintenance.transfer",
    "Tree": "smalti.store.values",
    "Unneeded": "smalti.store.maintenance.gc",
    "UnreadManifests": "smalti.store.manifests",
    "Use": "smalti.store.manifests",
    "outdated": "smalti.store.manifests",
}

__all__ = [
    "Buffer",
    "Change",
    "Checked",
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
    "Outdated",
    "Problem",
    "Progress",
    "Record",
    "Ref",
    "Retention",
    "RowChange",
    "Sample",
    "SampledReport",
    "Step",
    "Store",
    "StoreHealth",
    "StoreStats",
    "TransferReport",
    "Tree",
    "Unneeded",
    "UnreadManifests",
    "Use",
    "outdated",
]

__getattr__ = lazy_names(__name__, _HOME)
