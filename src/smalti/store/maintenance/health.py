"""How a store is: its size, what deduplication saves, when it was last checked, and whether there is room to go on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smalti.store.maintenance.checked import Checked, Thoroughness
from smalti.store.maintenance.stats import StoreStats


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """How a store is.

    Attributes:
        stats: what it holds.
        unreadable: names, pins and records that are damaged and are left out of it.
        manifests: how many runs it knows.
        checks: the last check of each kind that ended, by any process.
        set_aside: damaged objects that were replaced by sound ones and lie in ``quarantine/``.
        free_nbytes: room on the disk of its folder; None where it is in a bucket or in memory.
    """

    stats: StoreStats
    unreadable: tuple[str, ...]
    manifests: int
    checks: Mapping[Thoroughness, Checked]
    set_aside: int
    free_nbytes: int | None

    @property
    def standing(self) -> Checked | None:
        """The check whose problems stand: the last that read content whole, or a quick one since that found any.

        A sampled check reads again whatever the others found damaged, so the last of it and of full ones tells.
        """
        whole = [self.checks[kind] for kind in ("sampled", "full") if kind in self.checks]
        last = max(whole, key=lambda check: check.at, default=None)
        quick = self.checks.get("quick")
        if quick and (last is None or (quick.problems and quick.at > last.at)):
            return quick
        return last

    @property
    def deduplication_ratio(self) -> float:
        """Bytes of all values, each counted by itself, for each byte that is kept; 1 for an empty store."""
        return self.stats.nbytes / self.stats.nbytes_kept if self.stats.nbytes_kept else 1.0


def free_nbytes(place: str) -> int | None:
    """Return the room on the disk of a folder; None for what is none."""
    folder = Path(place)
    return shutil.disk_usage(folder).free if folder.is_dir() else None
