"""What a run ran on as its manifest keeps it: much of it as values that all runs alike share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from smalti.canonical import Json
from smalti.errors import NotFound
from smalti.runs.circumstances.code_version import code_version
from smalti.runs.circumstances.environment import environment, host_class
from smalti.runs.circumstances.process import this_process
from smalti.runs.circumstances.seeds import random_states
from smalti.store import Manifest, Store


class Circumstances:
    """Puts code version and environment into manifests; each difference and each environment is stored once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._put: dict[str | Path, str] = {}  # what -> its address
        self._lock = threading.Lock()

    def written(
        self,
        write: Callable[..., Manifest],
        run: str,
        fields: Mapping[str, Any],
        code_folder: Path,
        source: bytes = b"",
    ) -> Manifest:
        """Write a manifest with what it ran on added.

        Args:
            write: ``store.add_manifest`` or another with its arguments.
            source: of the function that is the run; stored, too, unless it is empty.
        """
        said = {**fields, "seeds": {**random_states(), **fields.get("seeds", {})}}
        code = fields.get("code", {})

        def all_of_it() -> dict[str, Any]:
            told = {**code, "source": self._address(f"source {source!r}", source)} if source else code
            return {**said, **self._of_this_process(code_folder, told)}

        try:
            return write(run, **all_of_it())
        except NotFound:
            with self._lock:
                if not self._put:  # it was not ours that is missing
                    raise
                self._put.clear()  # all runs that kept it were released, and it was collected: store it again
        return write(run, **all_of_it())

    def _of_this_process(self, code_folder: Path, said_of_code: Mapping[str, Json]) -> dict[str, Any]:
        found = self.gathered(code_folder, said_of_code)
        return {**found, "environment": {**found["environment"], **this_process()}}

    def gathered(self, code_folder: Path, said_of_code: Mapping[str, Json] = MappingProxyType({})) -> dict[str, Any]:
        """Return the fields ``code`` and ``environment`` of a manifest; the values that they name are stored."""
        version = code_version(code_folder)
        code = {**version.said, **said_of_code}
        if version.diff:
            code["diff"] = self._address(code_folder, version.diff)
        ran_on = environment()
        return {
            "code": code,
            "environment": {
                "details": self._address("environment", ran_on),
                "python": ran_on["python"],
                "host_class": host_class(),
            },
        }

    def _address(self, what: str | Path, value: Any) -> str:
        with self._lock:
            if what not in self._put:
                self._put[what] = self._store.put(value).digest
            return self._put[what]
