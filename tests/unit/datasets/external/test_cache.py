"""The cache of datasets: within its quota, those used longest ago go first, and what is needed never."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smalti.datasets import CompetitionMetadata, CompetitionType, DatasetRegistry, DatasetSpec
from smalti.datasets.external import Entry, ExternalCache
from smalti.errors import NotFound, Refused
from smalti.settings import Settings
from tests.unit.datasets.external.conftest import zipped

Get = Callable[..., Path]
SIZE = 100_000


@pytest.fixture
def fill(get: Get, server: Any, cache: ExternalCache) -> Callable[..., None]:
    """Fetch datasets of 100 kB, the first of them used longest ago."""

    def fill(*names: str) -> None:
        for age, name in enumerate(reversed(names)):
            server.content = zipped({"a.bin": name.encode() * (SIZE // len(name))})
            get(f"/{name}.zip", name)
            os.utime(cache.place("locks", name), (1e9 - age, 1e9 - age))

    return fill


def there(cache: ExternalCache) -> list[str]:
    return [entry.name for entry in cache.entries()]


def test_the_dataset_used_longest_ago_goes_first(fill: Callable[..., None], cache: ExternalCache) -> None:
    fill("a", "b", "c")
    assert there(cache) == ["a", "b", "c"]
    cache.find("a")  # used again
    cache.quota_nbytes = 2 * SIZE + SIZE // 2
    cache.make_room()
    assert there(cache) == ["c", "a"]
    assert cache.nbytes() <= cache.quota_nbytes


def test_within_the_quota_nothing_goes(fill: Callable[..., None], cache: ExternalCache) -> None:
    fill("a", "b")
    cache.quota_nbytes = cache.nbytes()
    cache.make_room()
    assert there(cache) == ["a", "b"]


def test_room_for_a_new_dataset_is_made_before_it_comes(
    fill: Callable[..., None], get: Get, settings: Settings, server: Any, cache: ExternalCache
) -> None:
    fill("a", "b")
    server.content = os.urandom(SIZE)
    seen: list[list[str]] = []
    server.answer = lambda handler: (handler.give(), seen.append(there(cache)))
    get("/c.bin", "c", settings=settings.model_copy(update={"cache_quota": f"{2 * SIZE + SIZE // 2}"}))
    assert there(cache) == ["b", "c"]
    assert sorted(path.name for path in cache.folder.glob("*.source.json")) == [
        "a.source.json",
        "b.source.json",
        "c.source.json",
    ], "what a dataset was is still known when it has gone"


def test_what_is_pinned_referenced_or_in_use_stays_and_the_refusal_says_so(
    fill: Callable[..., None], settings: Settings
) -> None:
    cache = ExternalCache.of(settings, lambda: ["b"])
    fill("a", "b", "c", "d")
    cache.pin("a")
    cache.quota_nbytes = SIZE
    with cache.in_use("c"), pytest.raises(Refused) as caught:
        cache.make_room()
    assert sorted(there(cache)) == ["a", "b", "c", "d"], "nothing is evicted for a refusal"
    said = str(caught.value)
    for what in ("a (100.0KB) is pinned", "b (100.0KB) is referenced", "c (100.0KB) is in use", "SMALTI_CACHE_QUOTA"):
        assert what in said
    assert "d (" not in said
    assert "\n" not in said
    cache.unpin("a")
    cache.quota_nbytes = SIZE + SIZE // 2
    cache.make_room()
    assert there(cache) == ["b"]


def test_what_a_registered_competition_is_read_from_stays(
    fill: Callable[..., None], cache: ExternalCache, settings: Settings
) -> None:
    fill("a", "b")
    metadata = CompetitionMetadata(competition_name="shop", competition_type=CompetitionType.REGRESSION)
    path = settings.external.relative_to(settings.root) / "a" / "train"
    spec = DatasetSpec(
        competition_name="shop",
        dataset_path=path,
        competition_type=CompetitionType.REGRESSION,
        num_samples=10,
        num_features=1,
    )
    DatasetRegistry(settings.root).register_competition("shop", metadata, spec)
    cache.quota_nbytes = SIZE + SIZE // 2
    cache.make_room()
    assert [(entry.name, entry.kept) for entry in cache.entries()] == [("a", "referenced")]


def test_what_something_refers_to_stays_for_every_process_until_it_is_released(
    fill: Callable[..., None], cache: ExternalCache, settings: Settings
) -> None:
    fill("a")
    cache.refer("a", "the asset a")
    cache.refer("a", "the asset b")
    another = ExternalCache(cache.folder, 1500)
    for by in ("the asset a", "the asset b"):
        with pytest.raises(Refused, match=r"a \(100\.0KB\) is referenced"):
            another.make_room()
        another.release("a", by)
    another.make_room()
    assert there(cache) == []
    with pytest.raises(NotFound, match="fetch it first"):
        cache.refer("a", "the asset a")


def test_what_a_user_put_there_counts_and_stays(
    fill: Callable[..., None], cache: ExternalCache, tmp_path: Path
) -> None:
    fill("a", "b")
    (cache.folder / "mine").mkdir()
    (cache.folder / "mine" / "a.bin").write_bytes(bytes(SIZE))
    (cache.folder / "loose.csv").write_bytes(bytes(SIZE))
    (cache.folder / "elsewhere").symlink_to(tmp_path)
    (cache.folder / "a" / "notes.txt").write_text("mine")
    cache.quota_nbytes = SIZE
    kept = {entry.name: entry.kept for entry in cache.entries()}
    assert kept == {
        "a": "with files that were added",
        "b": "",
        "mine": "not fetched by Smalti",
        "loose.csv": "not fetched by Smalti",
        "elsewhere": "not fetched by Smalti",
    }
    with pytest.raises(Refused, match=r"loose\.csv \(100\.0KB\) is not fetched by Smalti"):
        cache.make_room()
    assert cache.nbytes() > 4 * SIZE


def test_what_an_interrupted_download_left_goes_too(
    fill: Callable[..., None], get: Get, server: Any, cache: ExternalCache
) -> None:
    fill("a")
    server.content = bytes(SIZE)
    server.answer = lambda handler: handler.give(cut=SIZE // 2) if "Range" not in handler.headers else handler.head(503)
    with pytest.raises(OSError, match="are kept"):
        get("/b.bin", "b")
    os.utime(cache.place("partial", "b"), (1e8, 1e8))
    assert [(entry.name, entry.is_partial) for entry in cache.entries()] == [("b", True), ("a", False)]
    cache.quota_nbytes = SIZE + SIZE // 4
    cache.make_room()
    assert there(cache) == ["a"]


def test_only_what_is_there_can_be_pinned_or_used(cache: ExternalCache) -> None:
    with pytest.raises(NotFound, match="fetch it first"):
        cache.pin("a")
    with pytest.raises(NotFound, match="fetch it first"), cache.in_use("a"):
        pass
    assert cache.find("a") is None
    assert cache.entries() == []
    assert cache.nbytes() == 0


def test_what_an_eviction_that_died_left_is_removed(fill: Callable[..., None], cache: ExternalCache) -> None:
    fill("a")
    left = cache.place("evicted", "0123")
    left.mkdir()
    (left / "a.bin").write_bytes(b"x")
    cache.make_room()
    assert not left.exists()


def test_entries_say_their_sizes(fill: Callable[..., None], cache: ExternalCache) -> None:
    fill("a")
    assert cache.entries() == [Entry("a", SIZE, 1e9)]


@pytest.mark.parametrize(
    ("size", "nbytes"), [("50GB", 50 * 10**9), ("1.5 TiB", 3 << 39), ("500", 500), ("20mb", 20 * 10**6)]
)
def test_the_quota_is_a_size_as_people_write_it(tmp_path: Path, size: str, nbytes: int) -> None:
    assert ExternalCache.of(Settings(root=tmp_path, cache_quota=size)).quota_nbytes == nbytes


@pytest.mark.parametrize("size", ["much", "-5GB", "5 apples"])
def test_what_is_no_size_is_refused(tmp_path: Path, size: str) -> None:
    with pytest.raises(Refused, match=f"SMALTI_CACHE_QUOTA is '{size}'; write a size such as 50GB"):
        ExternalCache.of(Settings(root=tmp_path, cache_quota=size))
