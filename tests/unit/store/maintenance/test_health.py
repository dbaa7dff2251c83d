"""Laws of a store's health: what it adds up, whose findings stand, and that damage is counted and not raised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smalti import Store, open_store
from smalti.errors import Damaged
from smalti.store import Checked, Sample, StoreHealth, StoreStats
from smalti.store.maintenance.checked import Thoroughness


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(tmp_path / "store")
    for name in ("a", "b"):
        store.put({"x": np.arange(10_000), "which": name}, name=name)
    store.add_manifest("r", outputs={"a": "a"})
    return store


def test_it_says_how_much_there_is_and_what_deduplication_saves(store: Store) -> None:
    health = store.health()
    assert (health.stats.objects, health.stats.names, health.manifests) == (3, 2, 1)
    assert health.deduplication_ratio > 1.8
    assert health.free_nbytes
    assert health.standing is None


def test_a_bucket_or_memory_has_no_disk_and_an_empty_store_saves_nothing(tmp_path: Path) -> None:
    memory = open_store("memory:")
    memory.init()
    assert memory.health().free_nbytes is None
    empty = open_store(tmp_path)
    empty.init()
    assert empty.health().deduplication_ratio == 1


def test_damaged_records_and_names_are_counted_where_statistics_refuse(store: Store) -> None:
    place = Path(store.place)
    record = next(place.rglob(store.resolve("a").removeprefix("sha256:"))) / "metadata.json"
    for path in (record, place / "names" / "b" / "@000001.json"):
        path.chmod(0o644)
        path.write_bytes(b"{}")
    store = open_store(place)
    health = store.health()
    assert {key.split("/")[0].split(":")[0] for key in health.unreadable} == {"names", "sha256"}
    assert health.stats.objects == 2
    with pytest.raises(Damaged):
        store.stats()


def _health(**checks: tuple[str, int]) -> StoreHealth:
    kinds: dict[str, Thoroughness] = {"quick": "quick", "sampled": "sampled", "full": "full"}
    found = {kinds[kind]: Checked(kinds[kind], at, 1.0, 1, 1, problems) for kind, (at, problems) in checks.items()}
    return StoreHealth(StoreStats(0, 0, 0, 0, 0, (), ()), (), 0, found, 0, None)


@pytest.mark.parametrize(
    ("health", "stands"),
    [
        (_health(), None),
        (_health(full=("2026-11-01", 1)), "full"),
        (_health(full=("2026-11-01", 1), sampled=("2026-11-02", 0)), "sampled"),
        (_health(full=("2026-11-03", 1), sampled=("2026-11-02", 0)), "full"),
        (
            _health(full=("2026-11-01", 1), quick=("2026-11-02", 0)),
            "full",
        ),  # it reads too little to say that all is well
        (_health(full=("2026-11-01", 0), quick=("2026-11-02", 2)), "quick"),
        (_health(full=("2026-11-03", 0), quick=("2026-11-02", 2)), "full"),
        (_health(quick=("2026-11-02", 0)), "quick"),
    ],
)
def test_the_last_check_that_read_content_stands_unless_a_later_quick_one_found_something(
    health: StoreHealth, stands: str | None
) -> None:
    assert (health.standing.kind if health.standing else None) == stands


def test_health_knows_of_checks_that_another_process_made(store: Store) -> None:
    store.fsck(full=True)
    store.fsck(sample=Sample(1))
    assert open_store(store.place).health().checks.keys() == {"full", "sampled"}
