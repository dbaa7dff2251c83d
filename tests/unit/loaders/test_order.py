"""Laws of the order: every sample once an epoch over all ranks, from any position, and the same whoever asks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import Refused
from smalti.loaders.order import Order

SIZES = {"samples": st.integers(0, 60), "batch": st.integers(1, 9), "world": st.integers(1, 5)}


def dealt(order: dict, world: int, position: int = 0, epoch: int = 3) -> list[list[list[int]]]:
    """Return the batches of every rank, by step."""
    ranks = [Order(**order, rank=rank, world_size=world) for rank in range(world)]
    return [[rank.rows(rank.permutation(epoch), start).tolist() for start in rank.starts(position)] for rank in ranks]


@given(**SIZES, shuffle=st.booleans())
def test_every_sample_is_in_one_batch_of_one_rank(samples: int, batch: int, world: int, shuffle: bool) -> None:
    ranks = dealt({"samples": samples, "batch_size": batch, "shuffle": shuffle}, world)
    seen = [row for rank in ranks for rows in rank for row in rows]
    assert sorted(seen) == list(range(samples))
    assert all(len(rows) <= batch for rank in ranks for rows in rank)


@given(**SIZES, first=st.integers(0, 9), steps=st.integers(1, 5))
def test_steps_that_are_read_at_once_are_those_steps_end_to_end(
    samples: int, batch: int, world: int, first: int, steps: int
) -> None:
    for rank in range(world):
        order = Order(samples, batch, rank=rank, world_size=world)
        permutation, starts = order.permutation(0), order.starts()[first : first + steps]
        if starts:
            alone = [order.rows(permutation, start) for start in starts]
            assert order.rows_of(permutation, starts).tolist() == np.concatenate(alone).tolist()


@given(**SIZES)
def test_with_drop_last_every_rank_has_as_many_whole_batches(samples: int, batch: int, world: int) -> None:
    ranks = dealt({"samples": samples, "batch_size": batch, "drop_last": True}, world)
    seen = [row for rank in ranks for rows in rank for row in rows]
    assert len(seen) == len(set(seen)) == samples // (batch * world) * batch * world
    assert {len(rows) for rank in ranks for rows in rank} <= {batch}


@given(**SIZES, drop_last=st.booleans())
def test_the_number_of_batches_is_known(samples: int, batch: int, world: int, drop_last: bool) -> None:
    given_ = {"samples": samples, "batch_size": batch, "drop_last": drop_last}
    for rank, batches in enumerate(dealt(given_, world)):
        order = Order(**given_, rank=rank, world_size=world)
        assert order.batches() == sum(bool(rows) for rows in batches)
        assert all(batches[: order.batches()]), "only the last may be empty"
    if not drop_last:
        uneven = Order(**given_, world_size=world).uneven_samples
        last = [batches[-1] for batches in dealt(given_, world) if batches]
        assert bool(uneven) == any(not rows for rows in last)


@given(**SIZES, others=st.tuples(st.integers(1, 9), st.integers(1, 5)), steps=st.integers(0, 6))
def test_what_is_left_is_dealt_out_to_other_ranks_in_other_batches(
    samples: int, batch: int, world: int, others: tuple[int, int], steps: int
) -> None:
    before = dealt({"samples": samples, "batch_size": batch}, world)
    done = [row for rank in before for rows in rank[:steps] for row in rows]
    rest = dealt({"samples": samples, "batch_size": others[0]}, others[1], position=min(samples, steps * batch * world))
    left = [row for rank in rest for rows in rank for row in rows]
    assert sorted(done + left) == list(range(samples))


def test_epochs_and_seeds_have_other_orders_and_the_same_is_the_same() -> None:
    orders = {
        (seed, epoch): tuple(Order(50, 8, seed=seed).permutation(epoch).tolist()) for seed in (0, 1) for epoch in (0, 1)
    }
    assert len(set(orders.values())) == 4
    assert orders[1, 0] == tuple(np.random.default_rng([1, 0]).permutation(50).tolist())
    assert Order(5, 2, shuffle=False).permutation(7).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"rank": 2, "world_size": 2}, "rank 2 of 2"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_be_is_refused(given_: dict, words: str) -> None:
    with pytest.raises(Refused, match=words):
        Order(**{"samples": 10, "batch_size": 4, **given_})
