"""Laws of memoization: a call is computed once, no other call gets its result, and what is lost comes back."""

import random
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti import Store, open_store
from smalti.errors import Refused
from smalti.memoize import FOLDER, Forgotten, forget_all, memoize, remembering
from smalti.settings import Settings
from smalti.simulation import simulate_star

CALLS: list[tuple] = []


@memoize(version=1)
def summed(array, factor=1, *, note="") -> dict:
    CALLS.append((array, factor, note))
    return {"sum": np.asarray(array).sum() * factor, "note": note}


@memoize(version=1)
def brightest(scan) -> float:
    CALLS.append((scan,))
    return float(scan.diffraction.max())


@memoize(version=1)
def dice(sides) -> float:
    return random.random() * sides


@memoize(version=1)
def nothing(value) -> None:
    CALLS.append((value,))


@pytest.fixture
def store() -> Store:
    CALLS.clear()
    return open_store("memory:")


def names(store: Store) -> list[str]:
    return [version.name for version in store.names()]


def test_the_same_call_is_computed_once(store: Store) -> None:
    with remembering(store):
        first, again = summed(np.arange(4)), summed(np.arange(4))
    assert first == again == {"sum": 6, "note": ""}
    assert len(CALLS) == 1
    assert names(store)[0].startswith(f"{FOLDER}{summed.__module__}.summed/")


def test_the_first_call_makes_the_store(tmp_path: Path) -> None:
    CALLS.clear()
    with remembering(store := open_store(tmp_path / "store")):
        assert summed(np.arange(4)) == summed(np.arange(4))
    assert len(CALLS) == len(names(store)) == 1


def test_however_a_call_is_spelt_it_is_the_same(store: Store) -> None:
    with remembering(store):
        for spell in (
            summed,
            lambda a: summed(array=a),
            lambda a: summed(a, 1),
            lambda a: summed(note="", factor=1, array=a),
            lambda a: summed(np.asfortranarray(a), note=""),
            lambda a: summed(a.astype(">f8")),
        ):
            spell(np.ones((3, 4)))
    assert len(CALLS) == 1


def test_a_result_of_nothing_is_a_result(store: Store) -> None:
    with remembering(store):
        assert nothing(1) is nothing(1) is None
    assert len(CALLS) == 1


def test_nothing_is_remembered_until_somebody_says_where(store: Store) -> None:
    summed([1])
    with remembering(store):
        pass
    summed([1])
    assert len(CALLS) == 2
    assert not names(store)


def test_another_version_of_the_function_computes_again(store: Store) -> None:
    with remembering(store):
        brightest_of = [memoize(version=version)(brightest.__wrapped__) for version in (1, 2, 2)]
        for one in brightest_of:
            one(simulate_star("s", positions_per_side=2, window=16))
    assert len(CALLS) == 2


def test_a_disabled_memory_neither_reads_nor_writes(store: Store) -> None:
    with remembering(store):
        summed([1, 2])
    with remembering(store, Settings(disable_memoize=True)):
        summed([1, 2])
        summed([3])
    assert len(CALLS) == 3
    assert len(names(store)) == 1


@pytest.mark.parametrize(("mode", "computed"), [("dataset", 1), ("data", 2), ("full", 2)])
def test_by_dataset_a_scan_counts_by_what_is_said_of_it(store: Store, mode: str, computed: int) -> None:
    scan = simulate_star("s", positions_per_side=2, window=16)
    other_bytes = replace(scan, diffraction=scan.diffraction + 1)
    other_name = simulate_star("t", positions_per_side=2, window=16)
    with remembering(store, Settings(memoize_key_mode=mode)):
        brightest(scan)
        brightest(other_bytes)
        assert len(CALLS) == computed
        brightest(other_name)
    assert len(CALLS) == computed + 1


@pytest.mark.parametrize("mode", ["dataset", "data", "full"])
def test_in_every_mode_each_argument_counts(store: Store, mode: str) -> None:
    with remembering(store, Settings(memoize_key_mode=mode)):
        assert summed([1, 2], 1)["sum"] == 3
        assert summed([1, 2], 10)["sum"] == 30
        assert summed([1, 3], 1)["sum"] == 4
    assert len(CALLS) == 3


def test_the_source_counts_in_full_mode_only(store: Store) -> None:
    for mode in ("data", "full"):
        with remembering(store, Settings(memoize_key_mode=mode)):
            summed([1])
    assert len(CALLS) == 2


def test_the_settings_come_from_the_environment(store: Store, monkeypatch) -> None:
    monkeypatch.setenv("SMALTI_DISABLE_MEMOIZE", "1")
    with remembering(store):
        summed([1])
    assert not names(store)
    monkeypatch.setenv("SMALTI_MEMOIZE_KEY_MODE", "dta")
    with (
        pytest.raises(Refused, match="SMALTI_MEMOIZE_KEY_MODE is 'dta'; it may be dataset, data, full"),
        remembering(store),
    ):
        pass


def test_what_cannot_be_a_key_is_refused_and_not_computed(store: Store) -> None:
    with remembering(store):
        for value in (np.random.default_rng(0), {1, 2}, [len], Path("a")):
            with pytest.raises(Refused, match=r"the argument array of summed tells no result from another: "):
                summed(value)
    assert not CALLS


@memoize(version=1)
def handed_back(value):
    CALLS.append((value,))
    return value


@pytest.mark.parametrize(
    "value", [np.float32(0.1), np.array(1.5), 2.5, 3, True, None, "text", [1.0, {"a": None}], b"bytes", np.ones((2, 3))]
)
def test_a_remembered_result_is_of_the_type_of_the_first(store: Store, value) -> None:
    with remembering(store):
        first, again = handed_back(value), handed_back(value)
    assert len(CALLS) == 1
    assert type(first) is type(again) is type(value)
    assert np.array_equal(first, again)
    assert np.array_equal(first, value)


@pytest.mark.parametrize("result", [float("nan"), {1, 2}, {"reader": len}])
def test_a_result_that_cannot_be_kept_is_handed_over_and_said_not_to_be_remembered(store: Store, result) -> None:
    function = memoize(version=1)(lambda_of(result))
    with remembering(store):
        for _ in range(2):
            with pytest.warns(UserWarning, match=r"the result of made is not remembered: .+"):
                assert function() is result
    assert not names(store)


def lambda_of(result):
    def made():
        return result

    made.__qualname__ = "made"
    return made


def test_only_a_function_that_is_found_by_name_is_memoized() -> None:
    with pytest.raises(Refused, match="is not found by this name in another process"):
        memoize(version=1)(lambda: 1)


@pytest.mark.parametrize("what", ["data", "names"])
@pytest.mark.parametrize("harm", ["removed", "broken"])
def test_a_result_that_is_lost_is_computed_again(tmp_path, what: str, harm: str) -> None:
    CALLS.clear()
    store = open_store(tmp_path)
    array = np.arange(100_000)
    with remembering(store):
        first = described_array(array)
        for path in [path for path in (tmp_path / what).rglob("*") if path.is_file()]:
            path.unlink()
            if harm == "broken":
                path.write_bytes(b"broken")
        assert np.array_equal(described_array(array), first)
        assert len(CALLS) == 2
        assert np.array_equal(described_array(array), first)
        assert len(CALLS) == 2


@memoize(version=1)
def described_array(array):
    CALLS.append((array,))
    return array * 2


def test_what_is_read_cannot_be_changed_by_who_reads_it(store: Store) -> None:
    with remembering(store):
        for _ in range(2):
            with pytest.raises(ValueError, match="read-only"):
                described_array(np.ones(3))[0] = 5


def test_callers_at_the_same_time_agree(tmp_path) -> None:
    found, ready = [], threading.Barrier(4)

    def play() -> None:
        store = open_store(tmp_path)
        with remembering(store):
            ready.wait()
            found.append(dice(6))

    threads = [threading.Thread(target=play) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with remembering(open_store(tmp_path)):
        assert set(found) == {dice(6)}


def test_no_collection_takes_a_result_before_it_is_forgotten(store: Store) -> None:
    with remembering(store):
        described_array(np.ones(1000))
        store.gc(dry_run=False, grace_seconds=0)
        store.gc(dry_run=False, grace_seconds=0)
        described_array(np.ones(1000))
    assert len(CALLS) == 1
    assert forget_all(store, dry_run=True) == forget_all(store)
    assert not names(store)
    assert {item.state for item in store.gc(dry_run=True, grace_seconds=0).unneeded} == {"condemned"}


def test_forgetting_counts_only_what_nothing_else_needs(store: Store) -> None:
    shared = np.full(1000, 2.0)
    kept = [
        store.put({"inside": shared}, "a/tree"),
        store.put(np.full(1000, 4.0)),
        store.put(np.full(1000, 6.0)),
    ]
    store.pin(kept[1])
    store.add_manifest("run", outputs={"it": kept[2]})
    with remembering(store):
        for number in (1.0, 2.0, 3.0, 5.0):
            described_array(np.full(1000, number))
    assert forget_all(store) == Forgotten(results=4, nbytes=8000)
    assert forget_all(store) == Forgotten(results=0, nbytes=0)
    store.gc(dry_run=False, grace_seconds=0)
    store.gc(dry_run=False, grace_seconds=0)
    assert store.get(kept[1])[0] == 4
    assert store.get(kept[2])[0] == 6
    assert store.get("a/tree")["inside"][0] == 2
