"""The datasets that come with smalti: declared with their cards; each is read or fetched only when it is asked for."""

from smalti.datasets.builtin.competitions import COMPETITIONS
from smalti.datasets.builtin.corpora import CORPORA
from smalti.datasets.builtin.scans import SCANS
from smalti.datasets.builtin.tables import TABLES

BUILT_IN = (*COMPETITIONS, *CORPORA, *SCANS, *TABLES)

__all__ = ["BUILT_IN"]
