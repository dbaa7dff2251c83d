"""Files from the network: downloads that are checked and resumed, and archives that are unpacked safely."""

from smalti.datasets.fetch.download import Downloaded, NotGiven, OtherContent, Patience, download
from smalti.datasets.fetch.unpack import unpack

__all__ = ["Downloaded", "NotGiven", "OtherContent", "Patience", "download", "unpack"]
