"""Smalti as one of the peers: four named arrays in a store on a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from benchmarks.store.peers import ArrayPeer, Arrays
from smalti import open_store


class Smalti(ArrayPeer):
    name = "**smalti**"
    needs = "smalti"
    install = "this library"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._store = open_store(folder)

    def ingest(self) -> None:
        for name, array in self.arrays.items():
            self._store.put(array, name=name)

    def load(self, names: list[str]) -> Arrays:
        return {name: self._store.get(name) for name in names}

    def load_unverified(self, names: list[str]) -> Arrays:
        return {name: self._store.get(name, verify=False) for name in names}

    def rows(self, name: str, rows: slice) -> NDArray[Any]:
        return self._store.open(name)[rows]
