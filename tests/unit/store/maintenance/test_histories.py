"""Laws of merging the versions of a name: nothing is lost, the order of both is kept, twice is once."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from smalti.store.maintenance.histories import aligned, to_append, to_bring
from smalti.store.names import NameVersion

Said = tuple[str, str]  # address and time


def history(said: list[Said], first: int = 1) -> list[NameVersion]:
    return [NameVersion("name", number, address, at) for number, (address, at) in enumerate(said, first)]


SAID = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("12")), max_size=6)
APART = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("123")), max_size=6, unique=True)


def together(theirs: list[NameVersion], brought: Sequence[NameVersion]) -> list[NameVersion]:
    assert not {one.version for one in theirs} & {one.version for one in brought}, "a number is taken once"
    return sorted([*theirs, *brought], key=lambda one: one.version)


@given(APART, st.data())
def test_whatever_both_have_of_one_history_comes_together(said: list[Said], data: st.DataObject) -> None:
    whole = history(said)
    kept = data.draw(st.lists(st.booleans(), min_size=len(said), max_size=len(said)))
    theirs = [one for one, there in zip(whole, kept, strict=True) if there]
    assert together(theirs, to_bring(whole, theirs, "there").brought) == whole


@given(APART, APART, st.integers(1, 4))
def test_a_merge_keeps_both_in_their_order_and_is_done_once(mine: list[Said], other: list[Said], first: int) -> None:
    ours, theirs = history(mine, first), history(other)
    merge = to_bring(ours, theirs, "there")
    merged = together(theirs, merge.brought)
    assert [one for one in merged if one in theirs] == theirs
    assert bool(merge.left) == (None in aligned(ours, merged))
    assert to_bring(ours, merged, "there").brought == ()
    if theirs and theirs[-1].version not in aligned(ours, theirs) and first == 1:
        assert merged[-1] == theirs[-1], "what it stands for there did not come of ours"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("12")), min_size=1, max_size=6), SAID)
def test_what_is_chosen_is_what_the_name_stands_for_there(mine: list[Said], other: list[Said]) -> None:
    ours, theirs = history(mine), history(other)
    merged = together(theirs, to_append(ours, theirs))
    assert merged[-1].address == ours[-1].address
    assert {(one.address, one.at) for one in merged} >= {(one.address, one.at) for one in ours[:-1]}
    numbers = [one.version for one in merged]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "no number is left out"


def test_a_name_that_only_one_store_has_keeps_numbers_and_times() -> None:
    ours = history([("a", "1"), ("b", "2")], first=7)
    assert list(to_bring(ours, [], "there").brought) == ours


def test_versions_that_were_forgotten_come_back_to_their_places() -> None:
    ours = history([("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")])
    assert to_bring(ours, ours[2:3], "there").brought == (ours[0], ours[1], ours[3])


def test_a_history_whose_beginning_was_forgotten_goes_on_that_of_a_copy() -> None:
    theirs = history([("a", "1"), ("b", "2")])
    ours = history([("d", "4"), ("e", "5")], first=4)
    assert [(one.version, one.address) for one in to_bring(ours, theirs, "there").brought] == [(3, "d"), (4, "e")]


def test_what_went_on_in_both_is_left_to_a_person() -> None:
    both = history([("a", "1")])
    ours, theirs = [*both, *history([("b", "2")], 2)], [*both, *history([("c", "3")], 2)]
    merge = to_bring(ours, theirs, "there")
    assert merge.brought == ()
    assert "the name 'name' stands for c in there since 3, and for b here since 2" in merge.left
    assert to_append(ours, theirs) == history([("b", "2")], 3)


def test_what_finds_no_room_is_left_out_and_what_came_of_the_latest_is_brought() -> None:
    ours = history([("a", "1"), ("b", "2"), ("c", "3")])
    merge = to_bring(ours, history([("x", "0"), ("b", "2")]), "there")
    assert merge.brought == (ours[2],)
    assert merge.left.startswith("1 version of the name 'name' has no room between those that are in there")
