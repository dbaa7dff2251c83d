"""verify: whether another store answers what this one does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from smalti.errors import Damaged, NotFound, Refused, Unavailable
from smalti.store.long_work import OnProgress
from smalti.store.maintenance.fsck import examine_all
from smalti.store.maintenance.histories import aligned
from smalti.store.maintenance.problems import FsckReport, Problem, spread
from smalti.store.maintenance.push import Carried, Side
from smalti.store.maintenance.transfer import needed_by
from smalti.store.manifests import Manifest
from smalti.store.names import NameVersion, key_of


def verify(source: Side, target: Side, carried: Carried, progress: OnProgress | None = None) -> FsckReport:
    """Read in ``target``, whole, every object that what is carried needs, and compare names, pins and manifests.

    Raises:
        NotFound, Damaged: a record of the source cannot be read, so what is needed is not known.
    """
    wanted = carried.addresses()
    needed = needed_by(source.objects, set(wanted))
    affected = spread(wanted, needed.children)
    where = target.objects.location
    nbytes, problems = 0, []
    with closing(
        examine_all(target.objects, list(needed.children), target.objects.verify, progress, needed.nbytes)
    ) as examined:
        for one in examined:
            nbytes += one.nbytes
            what = one.damage or ("" if one.present else f"{one.address} is missing in {where}; push it again.")
            if what:
                problems.append(Problem(one.address, what, tuple(sorted(affected.get(one.address, ())))))
    for name, versions in carried.names.items():
        problems += _names(target, name, versions, whole=carried.whole)
    problems += _pins(target, carried)
    for manifest in carried.manifests:
        problems += _manifest(target, manifest)
    return FsckReport(len(needed.children), nbytes, tuple(problems))


def _names(target: Side, name: str, ours: list[NameVersion], *, whole: bool) -> Iterator[Problem]:
    where = target.objects.location
    try:
        theirs = target.names.versions(name)
    except (Damaged, NotFound, Refused, Unavailable) as error:
        yield Problem(f"names/{name}", str(error), (name,))
        return
    if not whole:
        if not theirs or theirs[-1].address != ours[-1].address:
            stands_for = theirs[-1].address if theirs else "nothing"
            what = f"the name {name!r} stands for {ours[-1].address} here and for {stands_for} in {where}; push it."
            yield Problem(key_of(name, ours[-1].version), what, (name,))
        return
    for one, place in zip(ours, aligned(ours, theirs), strict=True):
        if place is None:
            what = f"version {one.version} of the name {name!r}, {one.address} since {one.at}, is missing in {where}; "
            yield Problem(key_of(name, one.version), f"{what}push it again.", (name,))


def _pins(target: Side, carried: Carried) -> Iterator[Problem]:
    try:
        there = set(target.pins.all())
    except (Damaged, Refused, Unavailable) as error:
        yield Problem("pins/", str(error))
        return
    for address in carried.pins:
        if address not in there:
            what = f"{address} is pinned here and not in {target.objects.location}; push it again."
            yield Problem(f"pins/{address.removeprefix('sha256:')}.json", what, ("a pin",))


def _manifest(target: Side, ours: Manifest) -> Iterator[Problem]:
    where, needed_by = target.objects.location, (f"the run {ours.run}",)
    try:
        theirs = target.manifests.get(ours.run)
    except (Damaged, NotFound, Refused, Unavailable) as error:
        yield Problem(ours.key, f"{error} Push it again.", needed_by)
        return
    later = theirs.created_at == ours.created_at and theirs.revision > ours.revision
    if not later and not ours.says_the_same(theirs):
        yield Problem(ours.key, f"the run {ours.run!r} has another manifest in {where}; push it again.", needed_by)
    elif theirs.released_at and not ours.released_at:
        what = f"the run {ours.run!r} is kept here, but was released in {where} at {theirs.released_at}: "
        yield Problem(ours.key, f"{what}its values may be collected there; pin or name what is to stay.", needed_by)
