"""The content-addressed store: values, their addresses, and the folder that keeps them."""

from smalti.store.check import FsckReport, Problem
from smalti.store.gc import GcReport, Unneeded
from smalti.store.names import NameVersion
from smalti.store.record import Record
from smalti.store.store import Store
from smalti.store.values import Buffer, Encoded, Ref, Tree

__all__ = [
    "Buffer",
    "Encoded",
    "FsckReport",
    "GcReport",
    "NameVersion",
    "Problem",
    "Record",
    "Ref",
    "Store",
    "Tree",
    "Unneeded",
]
