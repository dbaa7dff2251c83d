"""Laws of retention: what is current, young or pinned stays; the oldest go first; a dry run changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti import open_store
from smalti.errors import Refused
from smalti.store import NameVersion, Retention
from smalti.store.maintenance.retention import outdated_versions

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def _versions(days_ago: list[int], name: str = "a/b") -> list[NameVersion]:
    return [
        NameVersion(name, number, f"sha256:{number:064x}", (NOW - timedelta(days=days)).isoformat(timespec="seconds"))
        for number, days in enumerate(days_ago, 1)
    ]


@given(
    ages=st.lists(st.integers(0, 400), min_size=1, max_size=12).map(lambda ages: sorted(ages, reverse=True)),
    keep_last=st.integers(1, 15),
    older_than=st.integers(0, 400),
    pinned=st.sets(st.integers(1, 12)),
)
def test_what_stays_is_the_newest_the_young_and_the_pinned(
    ages: list[int], keep_last: int, older_than: int, pinned: set[int]
) -> None:
    versions = _versions(ages)
    pins = {f"sha256:{number:064x}" for number in pinned}
    found = outdated_versions(versions, pins, Retention(("*",), keep_last, older_than), NOW)
    gone = versions[: found.versions] if found else []
    assert len(versions) - len(gone) >= min(keep_last, len(versions))
    assert not pins & {one.address for one in gone}
    for number in range(len(gone)):  # the next one came long ago
        assert NOW - datetime.fromisoformat(versions[number + 1].at) > timedelta(days=older_than)
    if found:
        assert found.first_kept == versions[len(gone)].version


def test_only_names_that_fit_a_pattern_lose_versions() -> None:
    policy = Retention(("scan/*", "table"), 1, 0)
    fits = [outdated_versions(_versions([9, 8], name), (), policy, NOW) for name in ("scan/x", "table", "tables", "s")]
    assert [found is not None for found in fits] == [True, True, False, False]


def test_a_dry_run_changes_nothing_and_then_what_it_said_goes_and_the_values_stay_until_a_collection(
    tmp_path: Path,
) -> None:
    store = open_store(tmp_path)
    digests = [store.put(f"value {n}", name="a").digest for n in range(5)]
    store.pin(digests[3])
    store.add_manifest("r", outputs={"first": digests[0]})
    policy = Retention(("*",), 1, 0)
    later = Retention(("*",), 1, 1)
    assert store.retain(later, dry_run=False) == []  # they are of today
    _age(tmp_path, 5)
    store = open_store(tmp_path)
    said = store.retain(policy)
    assert len(store.versions("a")) == 5
    assert store.retain(policy, dry_run=False) == said
    assert [(one.versions, one.first_kept, one.kept, one.held_by_pin) for one in said] == [(3, 4, 2, True)]
    assert [one.address for one in store.versions("a")] == digests[3:]
    assert store.fsck().clean
    assert store.manifest("r").outputs == {"first": digests[0]}
    assert store.get(digests[1]) == "value 1"


def _age(folder: Path, days: int) -> None:
    """Let every version of a name be older than it is."""
    from dataclasses import asdict, replace

    from smalti.store.format.sealed import seal
    from smalti.store.names import key_of

    for version in open_store(folder).versions("a"):
        path = folder / key_of("a", version.version)
        at = (datetime.fromisoformat(version.at) - timedelta(days=days)).isoformat(timespec="seconds")
        path.chmod(0o644)
        path.write_bytes(seal(asdict(replace(version, at=at))))


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"keep_last": 0}, "a name keeps what it stands for"), ({"older_than_days": -1}, "give 0 or more")],
)
def test_a_policy_that_would_take_the_current_version_is_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(Refused, match=message):
        Retention(("*",), **fields)
