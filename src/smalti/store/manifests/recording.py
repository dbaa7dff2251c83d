"""What a store does with manifests: runs are recorded, more is said of them, they are found and released."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from smalti.digest import is_address
from smalti.store.backend import Objects
from smalti.store.long_work import OnProgress
from smalti.store.manifests.collection import Manifests
from smalti.store.manifests.lineage import Direction, Hop
from smalti.store.manifests.manifest import Manifest, Use
from smalti.store.manifests.views import Mended
from smalti.store.taking import keep
from smalti.store.values import Ref


class RecordsRuns:
    """The part of a store that keeps manifests; references are given in any form that the store resolves."""

    _objects: Objects
    _manifests: Manifests

    def resolve(self, ref: Ref | str) -> str:
        """Return the address that a reference means."""
        raise NotImplementedError

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
            said: any of the other fields of a :class:`Manifest`, such as ``parameters={"lr": 1e-3}``.

        Raises:
            NotFound, Ambiguous: a reference fits nothing, or several things.
            Refused: the run has another manifest already, or something given is not as said above.
        """
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
        ran_on = [value for name in ("code", "environment") for value in (said.get(name) or {}).values()]
        named = {value for value in ran_on if isinstance(value, str) and is_address(value)}
        for address in named.union(*(one.values() for one in used)):
            keep(self._objects, address)
        return found

    def manifest(self, run: str) -> Manifest:
        """Return what a run read, wrote and ran on, also when it was released.

        Raises:
            NotFound: the run has no manifest.
        """
        return self._manifests.get(run)

    def manifests(self) -> Iterator[Manifest]:
        """Yield the manifest of every run, in order of their names."""
        return self._manifests.all()

    def runs_of(self, ref: Ref | str) -> list[Use]:
        """Return the runs that read or wrote a value, and which of the two, in order of their names."""
        return self._manifests.uses(self.resolve(ref))

    def lineage(self, ref: Ref | str, direction: Direction, depth: int | None = None) -> list[Hop]:
        """Return what a value was made from (``upstream``), or what was made from it (``downstream``), nearest first.

        Args:
            depth: follow so many steps at most; None: all.
        """
        return self._manifests.lineage(self.resolve(ref), direction, depth)

    def children_of(self, run: str) -> list[str]:
        """Return the runs that are parts of a run, in order of their names."""
        return self._manifests.children(run)

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
