"""Which old versions of names may go: a policy, what it takes away, and nothing that is current or pinned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import islice, pairwise

from smalti.errors import NotFound, Refused
from smalti.store.names import Names, NameVersion


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept of the versions of a name. One goes that is neither among the newest few nor young.

    Attributes:
        names: patterns of names that the policy is about, such as ``ptychodus_product/*``; ``*`` matches ``/`` too.
        keep_last: how many of the newest versions stay, 1 or more.
        older_than_days: only what was replaced longer ago than this may go.
    """

    names: tuple[str, ...]
    keep_last: int = 10
    older_than_days: float = 90.0

    def __post_init__(self) -> None:
        """Raise Refused where the policy would take away what a name stands for, or is about nothing."""
        if self.keep_last < 1:
            raise Refused(f"a name keeps what it stands for: keep_last is {self.keep_last}; give 1 or more.")
        if self.older_than_days < 0:
            raise Refused(f"older_than_days is {self.older_than_days}, which is still to come; give 0 or more.")


@dataclass(frozen=True, slots=True)
class Outdated:
    """What a policy takes away of one name.

    Attributes:
        name: which.
        versions: how many go, the oldest ones.
        first_kept: the number of the oldest version that stays.
        kept: how many stay.
        held_by_pin: whether older versions than the policy asks for stay because the first of them is pinned.
    """

    name: str
    versions: int
    first_kept: int
    kept: int
    held_by_pin: bool = False


def outdated_versions(
    versions: Sequence[NameVersion], pinned: Collection[str], retention: Retention, now: datetime
) -> Outdated | None:
    """Decide what goes of one name; None where nothing does.

    Versions go oldest first and without gaps, so what is newer than a pinned version stays with it.

    Args:
        versions: all of the name, oldest first.
    """
    name = versions[-1].name
    if not any(fnmatchcase(name, pattern) for pattern in retention.names):
        return None
    before = now - timedelta(days=retention.older_than_days)
    going = 0
    for one, replaced_by in islice(pairwise(versions), max(0, len(versions) - retention.keep_last)):
        if datetime.fromisoformat(replaced_by.at) >= before:
            break
        if one.address in pinned:
            return _outdated(versions, going, held_by_pin=True)
        going += 1
    return _outdated(versions, going) if going else None


def _outdated(versions: Sequence[NameVersion], going: int, *, held_by_pin: bool = False) -> Outdated:
    return Outdated(versions[-1].name, going, versions[going].version, len(versions) - going, held_by_pin)


def retain(
    names: Names, pinned: Collection[str], retention: Retention, *, dry_run: bool, now: datetime | None = None
) -> list[Outdated]:
    """Say what goes, by name, and unless it is a dry run take it away.

    Raises:
        Damaged: a version of a name is not what was written; nothing was taken away.
    """
    versions: dict[str, list[NameVersion]] = defaultdict(list)
    for key in names.keys():  # noqa: SIM118 (not a mapping)
        with suppress(NotFound):  # taken away meanwhile
            version = names.read(key)
            versions[version.name].append(version)
    moment, pins = now or datetime.now(UTC), frozenset(pinned)
    decided = [outdated_versions(some, pins, retention, moment) for some in versions.values()]
    found = [one for one in decided if one]
    for one in found if not dry_run else ():
        names.forget_before(one.name, one.first_kept)
    return found
