"""Laws of transfer: only what is missing moves, whole values only arrive, and an interruption costs nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smalti import Store, Weights, open_store
from smalti.errors import Damaged, NotFound

RANDOM = np.random.default_rng(0)


@pytest.fixture
def here(tmp_path: Path) -> Store:
    store = open_store(tmp_path / "here")
    child = RANDOM.random((100, 64, 64), np.float32)
    changed = child.copy()
    changed[3] = 0
    store.put({"x": child, "deep": {"y": b"raw"}, "n": 1}, name="scan/one")
    store.put({"x": changed, "w": Weights({"a": np.ones(3)})}, name="scan/two")
    store.put(np.arange(9))
    return store


@pytest.fixture
def there(tmp_path: Path) -> Store:
    return open_store(tmp_path / "there")


def test_everything_with_a_name_arrives_and_nothing_else(here: Store, there: Store) -> None:
    report = here.push(there)
    assert report.names == ("scan/one", "scan/two")
    for name in report.names:
        assert there.resolve(name) == here.resolve(name)
    np.testing.assert_array_equal(there.get("scan/two")["x"], here.get("scan/two")["x"])
    assert there.get("scan/one")["deep"] == {"y": b"raw"}
    assert there.fsck().clean
    assert report.sent == report.needed == there.fsck().objects


def test_near_duplicates_stay_small_on_the_way(here: Store, there: Store) -> None:
    report = here.push(there)
    assert report.nbytes < 1.3 * here.get("scan/one")["x"].nbytes


def test_a_second_push_sends_nothing(here: Store, there: Store) -> None:
    here.push(there)
    report = here.push(there)
    assert (report.sent, report.nbytes) == (0, 0)
    assert there.versions("scan/one")[-1].version == 1


def test_a_single_value_can_be_pulled_by_name_or_by_digest(here: Store, there: Store) -> None:
    there.pull(here, ["scan/one"])
    assert [named.name for named in there.names()] == ["scan/one"]
    unnamed = open_store(Path(there.place).with_name("third"))
    unnamed.pull(here, [here.resolve("scan/one")])
    assert not list(unnamed.names())
    assert unnamed.get(here.resolve("scan/one"))["n"] == 1


def test_an_interrupted_push_leaves_whole_values_and_goes_on(here: Store, there: Store) -> None:
    def stop_after_two(done: int, total: int, nbytes: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        here.push(there, progress=stop_after_two)
    assert there.fsck().clean
    assert not list(there.names())
    missing = here.absent_in(there)
    assert missing
    report = here.push(there)
    assert report.sent == len(missing)
    assert not here.absent_in(there)


def test_progress_counts_up_to_everything(here: Store, there: Store) -> None:
    seen: list[tuple[int, int, int]] = []
    report = here.push(there, progress=lambda *counts: seen.append(counts))
    assert [done for done, *_ in seen] == list(range(1, report.sent + 1))
    assert seen[-1] == (report.sent, report.sent, report.nbytes)


def test_damage_is_not_passed_on(here: Store, there: Store) -> None:
    path = here.file(here.record("scan/one").children["x"])
    assert path is not None
    content = bytearray(path.read_bytes())
    content[50_000] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(Damaged, match="is damaged in the 16384 bytes"):
        here.push(there)
    assert there.fsck().clean
    assert not list(there.names())


def test_a_name_that_is_not_there_is_a_sentence(here: Store, there: Store) -> None:
    with pytest.raises(NotFound, match="'nothing' is neither a name nor a digest"):
        there.pull(here, ["nothing"])
