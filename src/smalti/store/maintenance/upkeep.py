"""What a store does to look after itself: copies, checks, collections, differences, statistics."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from smalti.store.documents import Documents
from smalti.store.long_work import OnProgress
from smalti.store.maintenance.gc import DAY_SECONDS, GcReport, collect
from smalti.store.manifests.recording import RecordsRuns
from smalti.store.names import Names
from smalti.store.objects.taking import Codecs
from smalti.store.values import Ref

if TYPE_CHECKING:  # what not every use of a store needs is imported by the methods that do; numpy among it takes long
    from smalti.store.maintenance.checked import Checked, Thoroughness
    from smalti.store.maintenance.diff import Diff
    from smalti.store.maintenance.health import StoreHealth
    from smalti.store.maintenance.problems import FsckReport
    from smalti.store.maintenance.push import Side
    from smalti.store.maintenance.retention import Outdated, Retention
    from smalti.store.maintenance.sampling import Sample
    from smalti.store.maintenance.stats import StoreStats
    from smalti.store.maintenance.transfer import TransferReport


class LooksAfterItself(RecordsRuns):
    """The part of a store that copies, checks and collects; references are given in any form that it resolves."""

    _codecs: Codecs

    @property
    @abstractmethod
    def _documents(self) -> Documents: ...

    @property
    @abstractmethod
    def _names(self) -> Names: ...

    def push(
        self, target: LooksAfterItself, refs: Iterable[Ref | str] | None = None, progress: OnProgress | None = None
    ) -> TransferReport:
        """Bring values to another store: those given, or all that names, pins and manifests keep.

        Without ``refs`` the copy answers what this store does: every version of every name goes with its time, and
        with its number where the name is not there, all pins, and the manifests of all runs, released ones too. What
        is there stays. A reference that is a name brings what it stands for now, that of a directory all its versions,
        and the name stands there for what it does here. Objects are sent where they are missing or damaged there.

        Raises:
            NotFound, Damaged, Refused, Unavailable: see :func:`smalti.store.maintenance.push.push`.
        """
        from smalti.store.maintenance.push import chosen, everything, push

        source = self._side()
        if refs is None:
            carried = everything(source)
        else:
            carried = chosen(source, [ref.digest if isinstance(ref, Ref) else ref for ref in refs], self.resolve)
        target.init()
        return push(source, target._side(), carried, progress)

    def pull(
        self, source: LooksAfterItself, refs: Iterable[Ref | str] | None = None, progress: OnProgress | None = None
    ) -> TransferReport:
        """Bring values from another store to this one; see :meth:`push`."""
        return source.push(self, refs, progress)

    def _side(self) -> Side:
        from smalti.store.maintenance.push import Side

        return Side(self._objects, self._documents, self._manifests, self._codecs)

    def rebuild_index(self) -> None:
        """Make the index anew from the files; without one, near-duplicates are stored whole."""
        self._manifests.rebuild_index()  # first: should that throw a damaged file away, both are in the new one
        self._objects.rebuild_index()

    def gc(self, *, dry_run: bool = True, grace_seconds: float = DAY_SECONDS) -> GcReport:
        """Collect what no name, pin or run leads to; by default only say what would go.

        Nothing is removed the first time it is found: it is condemned, and removed by a later collection, at least
        ``grace_seconds`` after, if still nothing needs it.
        """
        parts = (self._objects, self._documents, self._names, self._manifests)
        return collect(*parts, dry_run=dry_run, grace_seconds=grace_seconds)

    def fsck(
        self,
        progress: OnProgress | None = None,
        *,
        full: bool = False,
        sample: Sample | None = None,
        repair_from: LooksAfterItself | None = None,
    ) -> FsckReport:
        """Check every name, pin, record and list of files, and content; see :func:`smalti.store.maintenance.fsck.fsck`.

        Args:
            full: read every byte, not only where a file does not look as it did when it was last read whole.
            sample: read every byte of some objects, others each time, and nothing of the rest.
            repair_from: a store that may hold sound copies of what is damaged or missing; they are written here.
        """
        from smalti.store.maintenance.fsck import fsck

        source = repair_from._side() if repair_from else None
        return fsck(self._side(), full=full, sample=sample, repair_from=source, progress=progress)

    def last_checks(self) -> dict[Thoroughness, Checked]:
        """Return when each kind of check (``quick``, ``sampled``, ``full``) last ended, and what it found."""
        from smalti.store.maintenance.checked import last_checks

        return last_checks(self._documents)

    def set_aside(self) -> int:
        """Return how many damaged objects were replaced by sound ones and lie in ``quarantine/`` to be looked into."""
        return len({key.split("/")[1] for key in self._documents.keys("quarantine/")})

    def health(self, progress: OnProgress | None = None) -> StoreHealth:
        """Return size, deduplication, last checks and free room. Every record is read, and no content.

        What is damaged is counted and not raised.
        """
        from smalti.store.maintenance.health import StoreHealth, free_nbytes
        from smalti.store.maintenance.stats import stats

        unreadable: list[str] = []
        found = stats(self._objects, self._documents, progress, unreadable)
        runs, room = len(self._manifests.names()), free_nbytes(self._documents.location)
        return StoreHealth(found, tuple(unreadable), runs, self.last_checks(), self.set_aside(), room)

    def retain(self, retention: Retention, *, dry_run: bool = True) -> list[Outdated]:
        """Take away old versions of names, as a policy says; by default only say which would go.

        What a name stands for now stays, what is pinned stays, and so do all manifests. The values go when ``gc`` finds
        that nothing else needs them.
        """
        from smalti.store.maintenance.retention import retain

        return retain(self._names, self.pins(), retention, dry_run=dry_run)

    @abstractmethod
    def pins(self) -> list[str]:
        """Return the addresses that are pinned."""

    def verify(
        self, target: LooksAfterItself, refs: Iterable[Ref | str] | None = None, progress: OnProgress | None = None
    ) -> FsckReport:
        """Read in another store, whole, all that ours consist of, and say what is missing, damaged or different there.

        Without ``refs`` that is all that a push of everything brings: values, names with their versions, pins,
        manifests, and whether their runs are kept.
        """
        from smalti.store.maintenance.push import chosen, everything
        from smalti.store.maintenance.verify import verify

        source = self._side()
        if refs is None:
            return verify(source, target._side(), everything(source), progress)
        some = [ref.digest if isinstance(ref, Ref) else ref for ref in refs]
        return verify(source, target._side(), chosen(source, some, self.resolve), progress)

    def diff(self, before: Ref | str, after: Ref | str) -> Diff:
        """Compare two values, by their records alone: what was added, removed and changed, and where."""
        from smalti.store.maintenance.diff import diff

        return diff(self._objects, self.resolve(before), self.resolve(after))

    def stats(self, progress: OnProgress | None = None) -> StoreStats:
        """Add up what the store holds, by kind and name, and what keeping every piece once saves."""
        from smalti.store.maintenance.stats import stats

        return stats(self._objects, self._documents, progress)
