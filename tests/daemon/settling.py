"""Waiting until a platform has nothing left to do, and what is wrong with what it did."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping

from tests.daemon.platform import Platform, Records

QUIET_s = 60.0  # conditions, the slowest, have been looked at twice by then, each 15 s or, on a busy machine, more
_LONGEST_s = 180.0
_LONGEST_EACH_s = 60.0  # of a run, also after a kill and on a busy machine
CHAIN = ("raw_scan", "scan", "scan_split", "ptycho_checkpoint", "reconstruction", "resolution", "ptychodus_product")


def settle(platform: Platform, expected: Collection[str] = (), quiet_s: float = QUIET_s) -> Records:
    """Return what is recorded as soon as these products are there and nothing has changed for a while.

    Without all of them it ends, too: what is missing is for the caller to say.
    """
    end = time.monotonic() + _LONGEST_s + _LONGEST_EACH_s * len(expected)
    since, before = time.monotonic(), None
    while True:
        records = recorded(platform)
        now = {(run.run_id, run.status) for run in records.runs}, sorted(platform.products())
        if now != before or records.unfinished:
            since, before = time.monotonic(), now
        waited = time.monotonic() - since
        if time.monotonic() > end or (waited > quiet_s and set(expected) <= platform.products().keys()):
            return records
        time.sleep(1)


def recorded(platform: Platform) -> Records:
    """Return what Dagster has recorded so far."""
    with platform.instance() as instance:
        return Records.of(instance, CHAIN)


def faults(
    platform: Platform, records: Records, bad: Collection[str] = (), seeds: Mapping[str, int] | None = None
) -> list[str]:
    """Return, in words, where it is not so that each good file became exactly one product, asked for once.

    Args:
        bad: keys of the files that were to be rejected.
        seeds: of the networks that were trained last, where not 0.
    """
    found = [f"failed for good: {lost}" for lost in records.lost()]
    found += [f"does not end: {run.job_name} {run.tags} {run.status.value}" for run in records.unfinished]
    wanted = {key: complex(level, (seeds or {}).get(key, 0)) for key, level in platform.levels.items()}
    if platform.products() != wanted:
        found.append(f"the products are {platform.products()}, not {wanted}")
    for asset in CHAIN:
        versions = {key: set(v) for (name, key), v in records.materialized.items() if name == asset}
        if versions.keys() != platform.levels.keys():
            found.append(f"{asset} has the partitions {sorted(versions)}")
    asked, once = records.asked("reconstruct"), Counter(dict.fromkeys(platform.levels, 1))
    if not seeds and asked != once:
        found.append(f"reconstructions were asked for {dict(asked)}, not once each")
    if not seeds and (also := records.asked("export") + records.by_conditions()):
        found.append(f"beside the reconstructions, these were asked for: {dict(also)}")
    if platform.quarantined() != sorted(bad):
        found.append(f"in quarantine are {platform.quarantined()}, not {sorted(bad)}")
    if not platform.store.fsck().clean:
        found.append("the store is damaged")
    return found
