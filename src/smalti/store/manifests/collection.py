"""The manifests of a store, one document per run, each written whole; a change replaces the document in one step.

A manifest keeps what it names from being collected. Released, it moves from ``manifests/`` to ``released/``: it keeps
nothing any more and still says everything. That of a run which was only begun lies in ``running/``: it is there for
everybody, but not synced, so one that is empty after a loss of power counts as none.

A run that has ``views`` is shown below ``runs/`` whenever its manifest is written; see :mod:`.views`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from smalti.errors import Damaged, NotFound, Refused
from smalti.store.commit import machine_errors
from smalti.store.documents import Documents
from smalti.store.long_work import OnProgress, Progress
from smalti.store.manifests.manifest import RELEASED, RUNNING, Manifest, dump, merged
from smalti.store.manifests.reading import ReadManifests, begun_key
from smalti.store.manifests.views import ListedViews, Mended, Views, check_view, mend, places_of


class Manifests(ReadManifests):
    """The manifests of one store."""

    def __init__(self, documents: Documents, views: Views | None = None) -> None:
        super().__init__(documents)
        self._views = views or ListedViews(documents)

    def add(self, run: str, created_at: str = "", **said: Any) -> Manifest:
        """Write the manifest of a run and return it; nothing is written when there is one that says the same.

        Args:
            created_at: when the run was recorded, where that was elsewhere and before.

        Raises:
            Refused: ``run`` cannot be the name of a run, there is no field of a name, it cannot be kept as JSON, the
                run would be a part of itself, the run has another manifest, or the time is not one that was.
        """
        manifest = self._sound(merged(Manifest(run, past(created_at) if created_at else now()), said))
        there = self.bring(manifest)
        if there.released_at or not there.says_the_same(manifest):  # a later revision of another one, made as early
            raise _other(there)
        return there

    def begin(self, run: str, **said: Any) -> Manifest:
        """Write that a run is at work, without waiting for the disk; :meth:`update` makes it durable.

        Raises:
            Refused: as :meth:`add`, and where the run has any manifest.
        """
        manifest = self._sound(merged(Manifest(run, now()), said))
        found = self._find(run)
        if found is None and self._documents.create(begun_key(run), dump(manifest), synced=False):
            self._show(manifest, begun_key(run))
            return manifest
        raise _other(found[0] if found else manifest)

    def bring(self, manifest: Manifest) -> Manifest:
        """Write a manifest as it is in another store, unless a later revision of it is here; return what is here.

        Raises:
            Refused: the run has another manifest here.
        """
        while True:
            found = self._find(manifest.run)
            if found is None:
                if self._documents.create(manifest.key, dump(manifest)):
                    self._show(manifest, manifest.key)
                    return manifest
                continue
            there, key, content = found
            if there.says_the_same(manifest):
                return there
            if there.released_at or there.created_at != manifest.created_at or there.revision == manifest.revision:
                raise _other(there)
            if there.revision > manifest.revision:
                return there
            newer = replace(manifest, released_at="")  # released elsewhere, its values are kept here
            if self._put((there, key), newer, content):
                return newer

    def update(self, run: str, **said: Any) -> Manifest:
        """Say more of a run: what is by name is added, steps and views too, other fields are replaced.

        Raises:
            NotFound: the run has no manifest.
            Refused: the run is released, or what is said cannot be; see :func:`merged`.
        """
        while True:
            there, key, content = self._get(run)
            if there.released_at:
                raise Refused(f"the run {run!r} was released at {there.released_at} and changes no more.")
            changed = self._sound(merged(there, said))
            if changed == there:
                return there
            changed = replace(changed, revision=there.revision + 1)
            if self._put((there, key), changed, content):
                return changed

    def release(self, run: str) -> Manifest:
        """Let go of what a run read and wrote, keep what is known of it, and return that.

        Raises:
            NotFound: the run has no manifest.
        """
        while True:
            there, key, content = before = self._get(run)
            if not there.released_at:
                released = self._released_before(there) or replace(there, released_at=now())
                if not self._documents.replace(key, dump(released), content):  # from here on nobody changes it
                    continue
                there, content = released, dump(released)
            if key != there.key:
                self._move(key, there.key, content)
                self._show(there, there.key, before[:2])
            return there

    def _released_before(self, manifest: Manifest) -> Manifest | None:
        """Return what an earlier version of this library wrote before it was interrupted."""
        with suppress(NotFound, Damaged):
            there = self.read(f"{RELEASED}{manifest.run}.json")
            return there if there.says_the_same(manifest) else None
        return None

    def _move(self, key: str, to: str, content: bytes) -> None:
        """Move the document of a run that is released; what an earlier try left there gives way."""
        while not self._documents.create(to, content):
            with suppress(NotFound):
                was = self._documents.read(to)
                if was == content or self._documents.replace(to, content, was):
                    break
        self._documents.remove(key)

    def views(self) -> dict[str, list[str]]:
        """Return the runs that each folder below ``runs/`` is to show, in order."""
        found: dict[str, list[str]] = {}
        for manifest in self.all():
            for place in places_of(manifest):
                found.setdefault(place.rpartition("/")[0], []).append(manifest.run)
        return dict(sorted(found.items()))

    def rebuild_views(self, progress: OnProgress | None = None) -> Mended:
        """Make the entries below ``runs/`` what the manifests say.

        Args:
            progress: called after each manifest that was read.
        """

        def find(run: str) -> tuple[Manifest, str] | None:
            found = self._find(run)
            return found[:2] if found else None

        def every() -> Iterator[tuple[Manifest, str]]:
            runs = self.names()
            for done, run in enumerate(runs, 1):
                if found := find(run):
                    yield found
                if progress:
                    progress(Progress(done, len(runs), 0))

        with machine_errors(f"rebuilding the views in {self._documents.location}"):
            return mend(self._views, every(), find)

    def sweep_views(self) -> None:
        """Remove what views show of values that are not there any more."""
        with machine_errors(f"removing what the views in {self._documents.location} show"):
            self._views.sweep()

    def _sound(self, manifest: Manifest) -> Manifest:
        """Return a manifest whose run is no part of itself and is shown below ``runs/``, nowhere else."""
        for view in manifest.views:
            check_view(view)
        above, seen = manifest.parent, {manifest.run}
        while above:
            if above in seen:
                raise Refused(
                    f"the run {manifest.run!r} cannot be a part of {manifest.parent!r}, which is a part of {above!r} "
                    "already; name another parent."
                )
            seen.add(above)
            found = self._find(above)
            above = found[0].parent if found else ""
        return manifest

    def _put(self, there: tuple[Manifest, str], changed: Manifest, was: bytes) -> bool:
        """Put a manifest in the place of an earlier one, of that key; tell whether it was still there."""
        key = there[1]
        if key.startswith(RUNNING):
            written = self._documents.create(changed.key, dump(changed))
            self._documents.remove(key, synced=False)  # also where it lost: whoever won may have died before this
        else:
            written = self._documents.replace(key, dump(changed), was)
        if written:
            self._show(changed, changed.key, there)
        return written

    def _show(self, manifest: Manifest, key: str, before: tuple[Manifest, str] | None = None) -> None:
        """Show a run below ``runs/``; its manifest is safe, so nothing is lost where that fails.

        Args:
            before: the manifest, and its key, that is shown there already.
        """
        if not manifest.views:
            return
        try:
            shown = self._views.entries(*before) if before else {}
            entries = self._views.entries(manifest, key)
            self._views.add({path: target for path, target in entries.items() if shown.get(path) != target})
        except OSError as error:
            warnings.warn(
                f"the run {manifest.run} is recorded in {self._documents.location}, but not shown below runs/: "
                f"{error}; smalti runs views --rebuild puts that right.",
                stacklevel=2,
            )


def outdated(manifests: Iterable[Manifest], older_than: timedelta, keep_last: int = 0) -> list[Manifest]:
    """Return those not yet released that are older than that and not among the newest ``keep_last``, oldest first."""
    kept = sorted((m for m in manifests if not m.released_at), key=lambda m: (m.created_at, m.run))
    before = _iso(datetime.now(UTC) - older_than)
    return [manifest for manifest in kept[: max(0, len(kept) - keep_last)] if manifest.created_at < before]


def now() -> str:
    """Return the time as manifests spell it: UTC, ISO 8601, milliseconds."""
    return _iso(datetime.now(UTC))


def past(moment: str) -> str:
    """Return a time that was, ISO 8601 with its zone, as manifests spell it.

    Raises:
        Refused: it is no such time, or is still to come.
    """
    try:
        parsed = datetime.fromisoformat(moment)
        spelled = _iso(parsed.astimezone(UTC)) if parsed.tzinfo else ""
    except (ValueError, TypeError, OverflowError):
        spelled = ""
    if not spelled:
        raise Refused(
            f"a run cannot have been recorded at {moment!r}; write ISO 8601 with its zone: 2024-01-15T10:30:00+00:00."
        )
    if spelled > now():
        raise Refused(f"a run cannot have been recorded at {moment}, which is still to come; leave created_at out.")
    return spelled


def _other(there: Manifest) -> Refused:
    released = f", released at {there.released_at}" if there.released_at else ""
    return Refused(
        f"the run {there.run!r} has another manifest already, written at {there.created_at}{released}; "
        "a run that is made again has a name of its own."
    )


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
