"""What a store does with manifests: runs are recorded, more is said of them, they are found and released."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from smalti.errors import Damaged, NotFound, Refused
from smalti.store.long_work import OnProgress
from smalti.store.manifests.collection import Manifests
from smalti.store.manifests.lineage import Direction, Hop
from smalti.store.manifests.manifest import Manifest, Use, described_by
from smalti.store.manifests.views import Mended
from smalti.store.objects.object_store import ObjectStore
from smalti.store.objects.taking import keep
from smalti.store.values import Ref


class RecordsRuns(ABC):
    """The part of a store that keeps manifests; references are given in any form that the store resolves."""

    @property
    @abstractmethod
    def _objects(self) -> ObjectStore: ...

    @property
    @abstractmethod
    def _manifests(self) -> Manifests: ...

    @abstractmethod
    def init(self) -> None:
        """Make an empty store, unless there is one."""

    @abstractmethod
    def resolve(self, ref: Ref | str) -> str:
        """Return the address that a reference means."""

    def add_manifest(
        self,
        run: str,
        *,
        inputs: Mapping[str, Ref | str] | None = None,
        outputs: Mapping[str, Ref | str] | None = None,
        **said: Any,
    ) -> Manifest:
        """Write down what a run read, wrote and ran on. What it names stays until the run is released.

        Args:
            run: what the run is called: one part of a name, and no other run's.
            inputs, outputs: what each value was called in the run -> a reference to it.
            said: any of the other fields of a :class:`Manifest`, such as ``parameters={"lr": 1e-3}``; of a run that
                another system recorded also ``created_at``, ISO 8601 with its zone.

        Raises:
            NotFound, Ambiguous: a reference fits nothing, or several things.
            Refused: the run has another manifest already, or something given is not as said above.
        """
        self.init()
        return self._manifests.add(run, **self._kept_by_manifest(inputs, outputs, said))

    def begin_manifest(
        self,
        run: str,
        *,
        inputs: Mapping[str, Ref | str] | None = None,
        outputs: Mapping[str, Ref | str] | None = None,
        **said: Any,
    ) -> Manifest:
        """Write down that a run is at work, without waiting for the disk; :meth:`update_manifest` makes it durable.

        A process that is killed leaves it behind, and what it names stays. Losing power before the update may lose it.

        Raises:
            NotFound, Ambiguous: a reference fits nothing, or several things.
            Refused: the run has a manifest already, or something given is not as :meth:`add_manifest` says.
        """
        self.init()
        return self._manifests.begin(run, **self._kept_by_manifest(inputs, outputs, said))

    def update_manifest(
        self,
        run: str,
        *,
        inputs: Mapping[str, Ref | str] | None = None,
        outputs: Mapping[str, Ref | str] | None = None,
        **said: Any,
    ) -> Manifest:
        """Say more of a run: what is by name is added, steps and views too, other fields are replaced.

        Raises:
            NotFound, Ambiguous: the run has no manifest, or a reference fits nothing, or several things.
            Refused: the run is released, an input or output of that name is another value, or there is no such field.
        """
        return self._manifests.update(run, **self._kept_by_manifest(inputs, outputs, said))

    def _kept_by_manifest(
        self, inputs: Mapping[str, Ref | str] | None, outputs: Mapping[str, Ref | str] | None, said: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the fields of a manifest with addresses for references, all made young so that none is collected."""

        def addresses(refs: Mapping[str, Ref | str] | None) -> dict[str, str]:
            return {name: self.resolve(ref) for name, ref in (refs or {}).items()}

        steps = tuple(
            replace(step, inputs=addresses(step.inputs), outputs=addresses(step.outputs))
            for step in said.get("steps", ())
        )
        found = {**said, "inputs": addresses(inputs), "outputs": addresses(outputs), "steps": steps}
        used = [found["inputs"], found["outputs"], *(u for step in steps for u in (step.inputs, step.outputs))]
        described = described_by(said.get("code", {}), said.get("environment", {}))
        for address in described.union(*(one.values() for one in used)):
            keep(self._objects, address)
        return found

    def bring_manifest(self, manifest: Manifest) -> Manifest:
        """Write a manifest as it is in another store, unless a later revision of it is here; return what is here.

        Raises:
            Refused: the run has another manifest here.
        """
        self.init()
        return self._manifests.bring(manifest)

    def manifest(self, run: str) -> Manifest:
        """Return what a run read, wrote and ran on, also when it was released.

        Raises:
            NotFound: the run has no manifest.
        """
        return self._manifests.get(run)

    def manifests(self) -> Iterator[Manifest]:
        """Yield the manifest of every run, in order of their names.

        Raises:
            Damaged, Refused: one is not what was written, or a newer version of this library wrote it.
        """
        return self._manifests.all()

    def runs(
        self, *, project: str = "", run_type: str = "", status: str = "", since: datetime | None = None
    ) -> Iterator[Manifest]:
        """Yield the manifests of runs, newest first: of all, or of those of which all that is given is true.

        Args:
            since: when they were recorded, at the earliest.

        Warns:
            UnreadManifests: see :meth:`runs_of`.
        """
        wanted = {"project": project, "run_type": run_type, "status": status}
        after = since.astimezone(UTC).isoformat(timespec="milliseconds") if since else ""
        for run in self._manifests.newest(after, **{name: value for name, value in wanted.items() if value}):
            with suppress(NotFound, Damaged, Refused):  # removed or written over since, as the next look-up will say
                yield self._manifests.get(run)

    def run_names(self) -> list[str]:
        """Return the names of all runs, in order, without reading a manifest."""
        return self._manifests.names()

    def runs_of(self, ref: Ref | str, *, parts: bool = False) -> list[Use]:
        """Return the runs that read or wrote a value, and which of the two, in order of their names.

        In a folder this is exact. In a bucket it may lack what other machines recorded since ``runs_known_as_of()``,
        a minute ago at most; an empty answer is exact there, too.

        Args:
            parts: also find the runs that used a tree that the value is a part of, or a part of it; then everything
                that runs used is looked into once, which takes longer the first time.

        Warns:
            UnreadManifests: manifests that are damaged, or written by a newer version, are left out.
        """
        return self._manifests.uses(self.resolve(ref), self._parts_of if parts else None)

    def lineage(
        self, ref: Ref | str, direction: Direction, depth: int | None = None, *, parts: bool = False
    ) -> list[Hop]:
        """Return what a value was made from (``upstream``), or what was made from it (``downstream``), nearest first.

        It is as exact as :meth:`runs_of`, and warns of the same.

        Args:
            depth: follow so many steps at most; None: all.
            parts: a tree also leads on to what it consists of, and a value to the trees that it is a part of; the
                addresses in a hop are those that its step used.
        """
        return self._manifests.lineage(self.resolve(ref), direction, depth, self._parts_of if parts else None)

    def children_of(self, run: str) -> list[str]:
        """Return the runs that are parts of a run, in order of their names; as exact as :meth:`runs_of`."""
        return self._manifests.children(run)

    def unread_manifests(self) -> dict[str, str]:
        """Return which documents among the manifests cannot be read, and why; ``runs_of`` and others leave them out."""
        return self._manifests.unread()

    def runs_known_as_of(self, *, look: bool = False) -> datetime:
        """Return as of when ``runs_of`` and others know what was recorded; in a folder that is always now.

        Args:
            look: in a bucket, look for what other machines recorded now.
        """
        if look:
            self._manifests.look()
        return self._manifests.looked_at()

    def _parts_of(self, address: str) -> list[str] | None:
        """Return the children of a tree; none of another value, and None where the value is gone."""
        try:
            return list(self._objects.record(address).children.values())
        except NotFound:
            return None

    def views(self) -> dict[str, list[str]]:
        """Return the runs that are shown below each folder of ``runs/``, such as ``by_project/churn``, in order."""
        return self._manifests.views()

    def rebuild_views(self, progress: OnProgress | None = None) -> Mended:
        """Make the entries below ``runs/`` that are missing or lead elsewhere, remove those that no run asks for."""
        return self._manifests.rebuild_views(progress)

    def release(self, run: str) -> Manifest:
        """Let the values that a run read and wrote be collected, unless something else needs them.

        Its manifest still says what they were, and ``runs_of`` still finds it.

        Raises:
            NotFound: the run has no manifest.
        """
        return self._manifests.release(run)
