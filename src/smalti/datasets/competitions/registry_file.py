"""The registered competitions as one JSON file: read whole, changed by one process at a time, replaced in one step."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from smalti.contracts.violation import shown
from smalti.datasets.competitions.metadata import CompetitionMetadata
from smalti.datasets.competitions.spec import DatasetSpec
from smalti.errors import Damaged, Refused
from smalti.store.commit import alone, machine_errors, make_folder, sync, write_file

FORMAT = 1
_METADATA = TypeAdapter(CompetitionMetadata)
_SPEC = TypeAdapter(DatasetSpec)


@dataclass(frozen=True, slots=True)
class Competition:
    """One registered competition.

    Attributes:
        name: in its one spelling, e.g. ``house-prices``.
    """

    name: str
    metadata: CompetitionMetadata
    spec: DatasetSpec

    def to_document(self) -> dict[str, Any]:
        """Return the metadata and the spec as JSON has them."""
        return {
            "metadata": _METADATA.dump_python(self.metadata, mode="json"),
            "spec": _SPEC.dump_python(self.spec, mode="json"),
        }


class RegistryFile:
    """``registry.json``; while there is none, nothing is registered, and reading never makes one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Competition]:
        """Return every competition by name.

        Raises:
            Damaged: the file is not a registry; it stays as it is.
            Unavailable: it cannot be read.
        """
        with machine_errors(f"reading {self.path}"):
            try:
                content = self.path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return {}
        try:
            document = json.loads(content)
            entries = document["competitions"]
            known = document["format"]
            if known == FORMAT:
                return {name: _competition(name, entry) for name, entry in entries.items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged(error) from error
        raise Refused(f"{self.path} has format {shown(repr(known))} and this version reads {FORMAT}; update smalti.")

    def change(self, changed: Callable[[Mapping[str, Competition]], Mapping[str, Competition]]) -> None:
        """Replace what is registered by ``changed`` of it; other processes wait, and readers see one or the other.

        Raises:
            Damaged: the file is not a registry; it stays as it is.
            Unavailable: it cannot be written.
        """
        folder = self.path.parent
        with machine_errors(f"registering in {self.path}"):
            make_folder(folder)
            with alone(folder / f".{self.path.name}.lock"):
                before = self.read()
                after = changed(before)
                if after != before:
                    self._replace(after)

    def _replace(self, competitions: Mapping[str, Competition]) -> None:
        entries = {name: one.to_document() for name, one in sorted(competitions.items())}
        content = json.dumps({"format": FORMAT, "competitions": entries}, indent=2, ensure_ascii=False) + "\n"
        beside = self.path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            write_file(beside, [content.encode()])
            beside.chmod(0o644)
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)
        sync(self.path.parent)

    def _damaged(self, error: Exception) -> Damaged:
        reason = _first_fault(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        return Damaged(
            f"{self.path} is not a registry of competitions that can be read ({shown(' '.join(reason.split()))}); "
            "nothing was changed: mend it, or move it away and register them again."
        )


def _competition(name: str, entry: Mapping[str, Any]) -> Competition:
    return Competition(name, _METADATA.validate_python(entry["metadata"]), _SPEC.validate_python(entry["spec"]))


def _first_fault(error: ValidationError) -> str:
    detail = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"
