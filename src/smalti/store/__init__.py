"""The content-addressed store: values, their addresses, and the folder that keeps them."""

from smalti.store.check import FsckReport, Problem
from smalti.store.diff import Change, ContentChange, Diff, FieldChange, RowChange
from smalti.store.gc import GcReport, Unneeded
from smalti.store.long_work import Progress
from smalti.store.manifests import Manifest, Use, outdated
from smalti.store.names import NameVersion
from smalti.store.record import Record
from smalti.store.stats import KindStats, NameStats, StoreStats
from smalti.store.store import Store
from smalti.store.transfer import TransferReport
from smalti.store.values import Buffer, Encoded, Ref, Tree

__all__ = [
    "Buffer",
    "Change",
    "ContentChange",
    "Diff",
    "Encoded",
    "FieldChange",
    "FsckReport",
    "GcReport",
    "KindStats",
    "Manifest",
    "NameStats",
    "NameVersion",
    "Problem",
    "Progress",
    "Record",
    "Ref",
    "RowChange",
    "Store",
    "StoreStats",
    "TransferReport",
    "Tree",
    "Unneeded",
    "Use",
    "outdated",
]
